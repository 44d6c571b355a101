"""What tests of pictures share: a made-up record, words in a drawing, hostile texts, and what survives."""

import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from hypothesis import strategies as st

from labkit.record import Event
from labkit.show import Shown
from labkit.show.conversation import TABLE
from labkit.show.steps import LEFT_OUT

#: Texts that a device may send as its name or as a topic.
HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>'",
    "</svg></pre></details>&lt;",
    "a\x1b[2Jb\x00\n\r\tc\x85\u2028",
    "\u202egnp.exe\u2066 שלום مرحبا 1/2",
    "\ud800\ufffe",
    "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl",
    "http://127.0.0.1:54321/x",
    "x" * 300,
    "温" * 300,
    "",
)


class Story:
    """Events, made by hand: the first word is the source, the second the kind."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.at = 1000.0

    def add(self, source_and_kind: str, *, after: float = 0, **facts: Any) -> "Story":
        """One more event, ``after`` seconds later."""
        source, kind = source_and_kind.split(" ")
        self.at += after
        number = len(self.events)
        self.events.append(Event(number=number, at=self.at, source=source, kind=kind, facts=facts))
        return self


class _Page(HTMLParser):
    """Takes a page apart: the names of its elements, its attributes and its images."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.images: list[dict[str, str | None]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}
        if tag == "img":
            self.images.append(dict(attributes))


def drawing(html: str | None) -> ET.Element:
    """The one drawing in a picture's HTML; the rest of it is of the kind that survives."""
    assert html is not None
    page = _Page(html)
    assert page.tags <= {"div", "img", "details", "summary", "pre", "b", "span", "code", *_TABLE}
    assert page.attributes <= {"style", "title", "alt", "src"}
    (image,) = page.images
    assert len(image["alt"] or "") > 20
    source = image["src"] or ""
    assert source.startswith("data:image/svg+xml,")
    root = ET.fromstring(unquote(source.partition(",")[2]))
    for element in root.iter():
        name = element.tag.removeprefix("{http://www.w3.org/2000/svg}")
        assert name in ("svg", "title", "style", "rect", "line", "path", "circle", "text")
        assert "id" not in element.attrib
        assert float(element.get("font-size", "13")) >= 12
    assert float(root.get("width", "0")) <= 900
    return root


_TABLE = ("table", "thead", "tbody", "tr", "th", "td")


def texts(root: ET.Element, *kinds: str) -> list[str]:
    """What is written in a drawing, in order; only in these colours, if any are named."""
    found = root.iter("{http://www.w3.org/2000/svg}text")
    return [each.text or "" for each in found if not kinds or each.get("class") in kinds]


def missing_words(root: ET.Element, text: str, *kinds: str) -> list[str]:
    """The words of a drawing that its plain text does not have; a word that was cut counts by its start."""
    squeezed = re.sub(r"\s+", "", text)
    return [
        word
        for written in texts(root, *kinds)
        for word in written.split()
        if word.rstrip(",").strip(":").removesuffix("…").rstrip(":") not in squeezed
    ]


_names = st.sampled_from([*HOSTILE, "dev-1", "dev-2", "broker", "somebody"]) | st.text(max_size=30)
_values = st.none() | st.booleans() | st.integers() | st.floats() | _names
_facts = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("client_id", "caller", "topic", "filter", "error", "path"), st.none() | _names),
        "jti": st.sampled_from(["a", "b", "c", None]) | _values,
        "reason": st.sampled_from(["disconnect", "expired", "asked to", "taken-over", "revoked"]) | _values,
        "carrier": st.sampled_from(["password", "username", None]),
        **dict.fromkeys(
            ("lifetime", "expires_in", "expires_at", "iat", "qos", "status", "keys", "return_code"), _values
        ),
        "grant": st.none() | _names,
        "retain": _values,
    },
)
_kinds = st.sampled_from([*TABLE, *LEFT_OUT, ("lab", "tick"), ("nobody", "knows")])
_moments = st.floats(0, 10_000) | st.floats()


@st.composite
def _events(draw: st.DrawFn) -> list[Event]:
    events = []
    for number in range(draw(st.integers(0, 25))):
        source, kind = draw(_kinds)
        at, real = draw(_moments), draw(st.none() | st.floats(0, 100))
        events.append(Event(number=number, at=at, source=source, kind=kind, facts=draw(_facts), real=real))
    return events


#: Events as they never happened.
any_events = _events()


#: What Jupyter leaves in the outputs of an untrusted notebook, as far as our pictures use it.
_TAGS = {"div", "table", "thead", "tbody", "tr", "th", "td", "span", "code", "b", "br", "img", "pre"}
_TAGS |= {"details", "summary"}
_ATTRIBUTES = {"style", "title", "alt", "src"}
_STYLES = {"background-color", "color", "border-collapse", "border-radius", "margin", "padding", "max-width"}
_STYLES |= {"text-align", "vertical-align", "white-space", "word-break"}
_WITHOUT_END = {"br", "img"}
_WHOLE_TOKEN = re.compile(r"eyJ[\w-]*\.[\w-]+\.[\w-]*")


class _Outside(HTMLParser):
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
    page = _Outside(shown.html)
    for said in [*page.words, *page.titles]:
        assert said in shown.text, f"{said!r} is in the picture and not in its text"
    return page.words
