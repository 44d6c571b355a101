"""What a picture's HTML shows, and whether it survives in a notebook that nobody trusts."""

import re
from html.parser import HTMLParser

from labkit.show import Shown

#: What Jupyter leaves in the outputs of an untrusted notebook, as far as our pictures use it.
_TAGS = {"div", "table", "thead", "tbody", "tr", "th", "td", "span", "code", "b", "br", "img", "pre"}
_TAGS |= {"details", "summary"}
_ATTRIBUTES = {"style", "title", "alt", "src"}
_STYLES = {"background-color", "color", "border-collapse", "border-radius", "margin", "padding", "max-width"}
_STYLES |= {"text-align", "vertical-align", "white-space", "word-break"}
_WITHOUT_END = {"br", "img"}
_WHOLE_TOKEN = re.compile(r"eyJ[\w-]*\.[\w-]+\.[\w-]*")


class _Page(HTMLParser):
    """The words outside the folded text, after checking that each tag is allowed and is closed."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self.open: list[str] = []
        self.titles: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in _TAGS, f"<{tag}> does not survive"
        for name, value in attrs:
            assert name in _ATTRIBUTES, f"{name}= does not survive"
            if name == "style":
                assert "var(" not in (value or ""), "var() does not survive"
                assert {each.split(":")[0] for each in (value or "").split(";")} <= _STYLES
        self.titles += [value for name, value in attrs if name == "title" and value]
        if tag not in _WITHOUT_END:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "details" not in self.open:
            self.words += data.split()

    def unexpected(self, data: str) -> None:
        raise AssertionError(f"a comment or declaration: {data}")

    handle_comment = handle_decl = handle_pi = unknown_decl = unexpected


def survives(shown: Shown) -> list[str]:
    """The visible words of a picture, after checking all that is asked of any picture."""
    assert _WHOLE_TOKEN.search(shown.text) is None
    if shown.html is None:
        return []
    assert _WHOLE_TOKEN.search(shown.html) is None
    page = _Page(shown.html)
    for said in [*page.words, *page.titles]:
        assert said in shown.text, f"{said!r} is in the picture and not in its text"
    return page.words
