// What a reader would stumble over in the open notebook, as a list of sentences; an empty list is good.
// Runs inside JupyterLab's page.  Folded <details> are opened for the measurement and closed again.
async () => {
  const notebook = jupyterapp.shell.currentWidget.content;
  const faults = [];
  const fault = (cell, what) => faults.push(`cell ${cell}: ${what}`);
  const squash = (text) => text.replace(/\s+/g, " ").trim();
  const brief = (text) => JSON.stringify(squash(text).slice(0, 60));
  const plain = (text) => text.replace(/\x1b\[[\d;]*m/g, "");
  const joined = (text) => (Array.isArray(text) ? text.join("") : text ?? "");

  // Every colour that CSS can write becomes red, green, blue (0 to 255) and alpha (0 to 1).
  const brush = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const colour = (css) => {
    if (!known.has(css)) {
      brush.clearRect(0, 0, 1, 1);
      brush.fillStyle = "transparent"; // and it stays so where the next line does not understand its value
      brush.fillStyle = css;
      brush.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = brush.getImageData(0, 0, 1, 1).data;
      known.set(css, [r, g, b, a / 255]);
    }
    return known.get(css);
  };
  const over = ([r, g, b, a], [R, G, B, A]) => {
    const alpha = a + A * (1 - a);
    const mix = (x, X) => (alpha ? (x * a + X * A * (1 - a)) / alpha : 0);
    return [mix(r, R), mix(g, G), mix(b, B), alpha];
  };
  const faded = ([r, g, b, a], opacity) => [r, g, b, a * opacity];
  // WCAG 2.2: relative luminance, and the contrast ratio that 1.4.3 wants to be 4.5 at least.
  const luminance = (rgb) => {
    const [r, g, b] = rgb.slice(0, 3).map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => {
    const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (light + 0.05) / (dark + 0.05);
  };
  const ENOUGH = 4.5;
  const SMALLEST = 9; // CSS pixels, of a letter's box

  // Ink and ground of a text, both painted over all that lies below `element`, up to the white of the page.
  const painted = (element, ink) => {
    let ground = [0, 0, 0, 0];
    for (let node = element; node; node = node.parentElement) {
      const style = getComputedStyle(node);
      const below = colour(style.backgroundColor);
      [ink, ground] = [over(ink, below), over(ground, below)].map((c) => faded(c, Number(style.opacity)));
    }
    return [ink, ground].map((c) => over(c, [255, 255, 255, 1]));
  };

  const readable = (cell, root) => {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    const seen = new Set();
    for (let text = walker.nextNode(); text; text = walker.nextNode()) {
      const element = text.parentElement;
      if (!text.data.trim() || !element.checkVisibility({ visibilityProperty: true }) || seen.has(element)) continue;
      seen.add(element);
      const [ink, ground] = painted(element, colour(getComputedStyle(element).color));
      const found = ratio(ink, ground);
      if (found < ENOUGH) fault(cell, `contrast ${found.toFixed(2)} of ${brief(text.data)}`);
      if (parseFloat(getComputedStyle(element).fontSize) < SMALLEST) fault(cell, `too small: ${brief(text.data)}`);
    }
  };

  // A drawing is a document of its own; it is laid over the page for a moment, to ask what lies below each text.
  const drawing = (cell, image, svg) => {
    const [, page] = painted(image, [0, 0, 0, 0]);
    const host = document.body.appendChild(document.createElement("div"));
    host.style.cssText = "position:fixed;left:0;top:0;z-index:99999";
    const root = host.attachShadow({ mode: "open" });
    const scheme = getComputedStyle(image).colorScheme.includes("dark") ? "dark" : "light";
    root.innerHTML = svg
      .slice(svg.indexOf("<svg"))
      .replace(/\(\s*prefers-color-scheme\s*:\s*(\w+)\s*\)/g, (_, asked) => (asked === scheme ? "all" : "not all"));
    const drawn = root.querySelector("svg");
    host.style.width = `${image.naturalWidth}px`;
    const bounds = drawn.getBoundingClientRect();
    for (const text of drawn.querySelectorAll("text, tspan")) {
      const own = [...text.childNodes].filter((n) => n.nodeType === Node.TEXT_NODE && n.data.trim());
      if (!own.length) continue;
      const box = text.getBoundingClientRect();
      if (box.left < bounds.left - 1 || box.right > bounds.right + 1 || box.top < bounds.top - 1 || box.bottom > bounds.bottom + 1)
        fault(cell, `${brief(text.textContent)} is cut off by its drawing`);
      const style = getComputedStyle(text);
      const size = (parseFloat(style.fontSize) * text.getScreenCTM().a * image.clientWidth) / image.naturalWidth;
      if (size < SMALLEST) fault(cell, `too small in a drawing: ${brief(text.textContent)}`);
      let ground = page;
      for (const shape of drawn.querySelectorAll("rect, circle, ellipse, polygon, path")) {
        if (text.compareDocumentPosition(shape) & Node.DOCUMENT_POSITION_FOLLOWING || !shape.isPointInFill) continue;
        const middle = new DOMPoint((box.left + box.right) / 2, (box.top + box.bottom) / 2);
        const fill = getComputedStyle(shape);
        if (fill.fill === "none" || !shape.isPointInFill(middle.matrixTransform(shape.getScreenCTM().inverse()))) continue;
        ground = over(faded(colour(fill.fill), Number(fill.fillOpacity) * Number(fill.opacity)), ground);
      }
      const found = ratio(over(faded(colour(style.fill), Number(style.fillOpacity) * Number(style.opacity)), ground), ground);
      if (found < ENOUGH) fault(cell, `contrast ${found.toFixed(2)} of ${brief(text.textContent)} in a drawing`);
    }
    host.remove();
  };

  const pictures = async (cell, root) => {
    for (const image of root.querySelectorAll("img")) {
      const name = brief(image.alt || image.src);
      if (!image.complete || !image.naturalWidth) fault(cell, `the picture ${name} is not shown`);
      else if (image.src.startsWith("data:image/svg+xml")) drawing(cell, image, await (await fetch(image.src)).text());
    }
  };

  const fits = (cell, root) => {
    const right = root.getBoundingClientRect().right + 1.5;
    for (const element of [root, ...root.querySelectorAll("*")]) {
      const wide = element.clientWidth && element.scrollWidth > element.clientWidth + 1;
      if (!wide && (!element.getClientRects().length || element.getBoundingClientRect().right <= right)) continue;
      fault(cell, `<${element.localName}> is too wide for the page: ${brief(element.textContent)}`);
      return; // what is around it is too wide as well
    }
    for (const pre of root.querySelectorAll("pre")) folded(cell, pre);
  };

  // A sentence may go on in the next line of the page; a line that is laid out in columns may not.
  const folded = (cell, pre) => {
    const texts = document.createTreeWalker(pre, NodeFilter.SHOW_TEXT);
    const places = []; // of every character
    for (let text = texts.nextNode(); text; text = texts.nextNode())
      for (let i = 0; i < text.length; i++) places.push([text, i]);
    let start = 0;
    for (const line of pre.textContent.split("\n")) {
      const end = start + line.trimEnd().length;
      if (/\S {2,}\S/.test(line)) {
        const range = document.createRange();
        range.setStart(...places[start]);
        range.setEnd(places[end - 1][0], places[end - 1][1] + 1);
        if (range.getBoundingClientRect().height > 1.5 * parseFloat(getComputedStyle(pre).lineHeight))
          fault(cell, `a line of ${line.length} columns is folded: ${brief(line)}`);
      }
      start += line.length + 1;
    }
  };

  // A style that was taken out is missed where putting it back would make a difference that can be seen.
  const misses = (element, property, style) => {
    if (element.style.getPropertyValue(property)) return false;
    const now = getComputedStyle(element).getPropertyValue(property);
    element.style.setProperty(property, style.getPropertyValue(property), style.getPropertyPriority(property));
    const meant = getComputedStyle(element).getPropertyValue(property);
    element.style.removeProperty(property);
    if (property !== "color") return meant !== now;
    return ratio(...[meant, now].map((css) => painted(element, colour(css))[0])) > 1.5;
  };

  // The saved HTML against what the sanitizer has left of it: the same elements, each with the styles it had.
  const kept = (cell, saved, shown) => {
    const page = new DOMParser().parseFromString(saved, "text/html").body;
    const [before, after] = [page, shown].map((root) => [...root.querySelectorAll("*")]);
    const lost = before.find((element, i) => element.localName !== after[i]?.localName);
    if (lost) return fault(cell, `<${lost.localName}> is lost, or something before it: ${brief(lost.textContent)}`);
    before.forEach((element, i) => {
      // JupyterLab makes up a text where there is none, so that only the saved output tells.
      if (element.localName === "img" && !element.alt.trim()) fault(cell, "a picture without alternative text");
      for (const property of element.style)
        if (misses(after[i], property, element.style)) fault(cell, `<${element.localName}> has lost its ${property}`);
      for (const { name, value } of element.attributes)
        if (value && name !== "style" && !after[i].hasAttribute(name)) fault(cell, `<${element.localName}> has lost its ${name}`);
    });
  };

  const complete = (cell, widget) => {
    const outputs = widget.model.outputs.toJSON();
    const shown = [...widget.node.querySelectorAll(".jp-OutputArea-output")];
    if (shown.length !== outputs.length) return fault(cell, `${outputs.length} outputs, and ${shown.length} of them shown`);
    if (widget.node.querySelector(".jp-mod-outputsScrolled, .jp-TrimmedOutputs")) fault(cell, "the output is cut short");
    outputs.forEach((output, i) => {
      const html = joined(output.data?.["text/html"]);
      const text = html
        ? new DOMParser().parseFromString(html, "text/html").body.textContent
        : plain(joined(output.text ?? output.traceback?.join("\n") ?? output.data?.["text/plain"]));
      if (html) kept(cell, html, shown[i]);
      if (!squash(shown[i].textContent).includes(squash(text))) fault(cell, `not shown as saved: ${brief(text)}`);
      if (text.trim() && !shown[i].clientHeight) fault(cell, `invisible: ${brief(text)}`);
    });
  };

  const closed = [...notebook.node.querySelectorAll("details:not([open])")];
  for (const details of closed) details.open = true;
  for (const [i, widget] of notebook.widgets.entries()) {
    if (widget.model.type === "code") {
      complete(i, widget);
      const code = widget.node.querySelector(".cm-scroller");
      if (code.scrollWidth > code.clientWidth + 1) fault(i, `the code is too wide: ${brief(code.textContent)}`);
    }
    for (const root of widget.node.querySelectorAll(".jp-OutputArea-output, .jp-MarkdownOutput")) {
      await pictures(i, root);
      fits(i, root);
      readable(i, root);
    }
  }
  for (const details of closed) details.open = false;
  return [...new Set(faults)];
}
