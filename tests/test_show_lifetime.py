"""Tokens and connections on a time axis: complete as a table, the same on every run, drawn whatever it is."""

import re
from random import Random
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from support_broker import Client
from support_show import HOSTILE, Story, any_events, drawing, missing_words, texts

from labkit import Lab, show
from labkit.record import Event, Record
from labkit.show.svg import Drawing, fitting, width_of
from labkit.show.timeline import Timeline, span

AXIS = re.compile(r"\d+ (s|min)")


def told(record: Any, *names: str, **options: Any) -> str:
    """The text of a picture, after the picture was found to say no more, but for the scale of its axis."""
    shown = show.lifetime(record, *names, **options)
    if shown.html is not None:
        root = drawing(shown.html)
        assert missing_words(root, shown.text, "on", "ink") == []
        scale = ("tokens", "connections")
        rest = [text for text in texts(root, "soft") if text not in scale and not AXIS.fullmatch(text)]
        assert all(re.fullmatch(r"\d+ more in the table", text) for text in rest)
        assert all(cell in shown.html for cell in ("issued", "expires", "connected"))
    return shown.text


def bars(record: Any, kind: str) -> list[tuple[float, float]]:
    """Start and width of the bars of a colour, in pixels."""
    root = drawing(show.lifetime(record).html)
    found = root.iter("{http://www.w3.org/2000/svg}rect")
    return [(float(b.get("x", 0)), float(b.get("width", 0))) for b in found if b.get("class") == kind]


def test_a_day_in_a_labs_life_is_told_in_the_same_words_in_every_lab() -> None:
    pictures = set()
    for _ in range(4):
        with Lab() as lab:
            lab.register("thermostat-1", lifetime=300)
            lab.register("lamp-1", lifetime=3600)
            with lab.device("thermostat-1", random=Random(41)):
                lab.clock.advance(minutes=9)
            quiet = Client(lab.mqtt.port)
            quiet.connect("thermostat-1", lab.token("thermostat-1"))
            lab.clock.advance(minutes=4)
            lab.clock.advance(minutes=1)
            assert quiet.ended()
            quiet.close()
            lab.token("thermostat-1")
            with lab.device("lamp-1"):
                lab.clock.advance(seconds=30)
                lab.revoke("lamp-1")
            assert told(lab.record) == DAY
            pictures.add(show.lifetime(lab.record).html)
            assert told(lab.record, "lamp-1") == LAMP
    assert len(pictures) == 1


DAY = """\
thermostat-1
  token  life   issued  expires      then
  jti-1  300 s  0 s     300 s        replaced after 232 s, 77 %
  jti-2  300 s  232 s   532 s        replaced after 224 s, 75 %
  jti-3  300 s  456 s   12 min 36 s  expired
  jti-4  300 s  540 s   14 min       expired
  jti-5  300 s  14 min  19 min
  token  connected        ended by
  jti-1  0 s to 232 s     swap
  jti-2  232 s to 456 s   swap
  jti-3  456 s to 540 s   left
  jti-4  540 s to 14 min  expired
  jti-5  never

lamp-1
  token  life    issued  expires  then                connected              ended by
  jti-6  60 min  14 min  74 min   revoked after 30 s  14 min to 14 min 30 s  revoked"""
LAMP = """\
lamp-1
  token  life    issued  expires  then                connected    ended by
  jti-1  60 min  0 s     60 min   revoked after 30 s  0 s to 30 s  revoked"""


def test_a_swap_a_leave_and_a_take_over() -> None:
    story = Story()
    for jti, after in (("a", 0), ("b", 240)):
        story.add("authserver token.issued", client_id="t-1", jti=jti, lifetime=300, iat=0, after=after)
        if jti == "b":
            story.add("broker connection.closed", client_id="t-1", jti="a", reason="disconnect")
        story.add("broker connect.accepted", client_id="t-1", jti=jti, expires_in=300.0)
    story.add("broker connect.accepted", client_id="t-1", jti="b", expires_in=200.0, after=100)
    story.add("broker taken-over", client_id="t-1", jti="b")
    story.add("broker connection.closed", client_id="t-1", jti="b", reason="taken-over")
    story.add("broker connection.closed", client_id="t-1", jti="b", reason="disconnect", after=10)
    assert told(story.events) == (
        "t-1\n"
        "  token  life   issued  expires  then                        connected       ended by\n"
        "  jti-1  300 s  0 s     300 s    replaced after 240 s, 80 %  0 s to 240 s    swap\n"
        "  jti-2  300 s  240 s   540 s                                240 s to 340 s  taken over\n"
        "                                                             340 s to 350 s  left"
    )


def test_a_reauthentication_is_a_swap_without_a_gap() -> None:
    with Lab() as lab:
        lab.register("lamp-1", lifetime=300)
        with lab.device("lamp-1", version=5, carrier="enhanced", random=Random(41)) as device:
            lab.clock.advance(seconds=100)
            device.refresh()
            lab.clock.advance(seconds=50)
        lines = told(lab.record).splitlines()
    assert [re.split(r" {2,}", line.strip())[-2:] for line in lines[2:4]] == [
        ["0 s to 100 s", "swap"],
        ["100 s to 150 s", "left"],
    ]


def test_a_swap_is_one_whichever_end_was_written_first() -> None:
    start = [
        ("authserver token.issued", {"jti": "a", "lifetime": 300, "iat": 1000}),
        ("broker connect.accepted", {"jti": "a", "expires_in": 300.0}),
        ("authserver token.issued", {"jti": "b", "lifetime": 300, "iat": 1000}),
    ]
    closed = ("broker connection.closed", {"jti": "a", "reason": "disconnect"})
    accepted = ("broker connect.accepted", {"jti": "b", "expires_in": 300.0})
    seen = set()
    for order in ([closed, accepted], [accepted, closed]):
        story = Story()
        for kind, facts in [*start, *order]:
            story.add(kind, client_id="t-1", **facts)
        seen.add(told(story.events))
    assert len(seen) == 1
    assert "0 s to 0 s  swap" in seen.pop()


def test_a_device_that_goes_is_gone_when_it_says_so() -> None:
    start = Story().add("broker connect.accepted", client_id="t-1", jti="a", expires_in=60.0).events
    says = ("device disconnected", "asked to")
    sees = ("broker connection.closed", "disconnect")
    seen = set()
    for order in ([says], [says, sees]):
        story = Story()
        story.events = [*start]
        for kind, reason in order:
            story.add(kind, client_id="t-1", reason=reason)
        seen.add(told(story.events))
        assert told(story.events, since=2) == "no token was issued, and nobody connected"
    assert len(seen) == 1
    assert seen.pop().endswith("0 s to 0 s  left")


def test_a_stolen_token_stands_with_both_who_used_it() -> None:
    story = Story().add("authserver token.issued", client_id="t-1", jti="a", lifetime=300, iat=1000)
    story.add("broker connect.accepted", client_id="t-1", jti="a", expires_in=300.0)
    story.add("broker connect.accepted", client_id="mallory", jti="a", expires_in=300.0, after=5)
    story.add("authserver token.revoked", client_id="t-1", jti="a", after=5)
    assert [line.split() for line in told(story.events).split("\n") if "jti-1" in line] == [
        re.split(" +", f"jti-1 300 s 0 s 300 s revoked after 10 s from {start} s still open")
        for start in (0, 5)
    ]


def test_what_began_before_the_first_event() -> None:
    story = Story().add("broker token.expired", client_id="t-1", jti="a")
    story.add("broker connection.closed", client_id="t-1", jti="a", reason="expired")
    story.add("authserver token.revoked", client_id="t-1", jti=None, after=30)
    assert told(story.events).split("\n")[1:] == [
        "  token  life  issued   expires  then                connected   ended by",
        "  jti-1        earlier  unknown  revoked after 30 s  0 s to 0 s  expired",
    ]


def test_a_device_at_somebody_elses_servers() -> None:
    story = Story()
    for _ in range(2):
        story.add("device token.fetched", client_id="t-1", expires_in=100, after=80)
        story.add("device connected", client_id="t-1")
    story.add("device disconnected", client_id="t-1", reason="closed by the broker", after=100)
    story.add("device connected", client_id="t-2").add(
        "device disconnected", client_id="t-2", reason="asked to"
    )
    assert told(story.events).split("\n") == [
        "t-1",
        "  token    life   issued  expires  then",
        "  token 1  100 s  0 s     100 s    replaced after 80 s, 80 %",
        "  token 2  100 s  80 s    180 s    expired",
        "  token    connected      ended by",
        "  token 1  0 s to 80 s    swap",
        "  token 2  80 s to 180 s  closed by the broker",
        "",
        "t-2",
        "  token    life  issued  expires  then  connected       ended by",
        "  unknown                               180 s to 180 s  left",
    ]


def test_where_the_table_is_too_wide_connections_stand_below_the_tokens() -> None:
    story = Story()
    for jti in ("a", "b", "c"):
        story.add("authserver token.issued", client_id="t-1", jti=jti, lifetime=900, iat=0, after=701)
        story.add("broker connect.accepted", client_id="t-1", jti=jti, expires_in=900.0)
        story.add("broker connection.closed", client_id="t-1", jti=jti, reason="keep-alive", after=10)
        story.add("broker connect.accepted", client_id="t-1", jti=jti, expires_in=890.0)
    lines = told(story.events).split("\n")
    assert lines[:3] == [
        "t-1",
        "  token  life    issued       expires      then",
        "  jti-1  15 min  0 s          15 min       replaced after 11 min 51 s, 79 %",
    ]
    assert lines[5:8] == [
        "  token  connected                   ended by",
        "  jti-1  0 s to 10 s                 keep-alive",
        "         10 s to 12 min 1 s          keep-alive",
    ]
    assert max(map(len, lines)) <= 88


def test_many_tokens_and_many_devices_are_cut_short() -> None:
    story = Story()
    for number in range(30):
        story.add("authserver token.issued", client_id="t-1", jti=str(number), lifetime=10, iat=1000)
    for number in range(9):
        story.add(
            "authserver token.issued", client_id=f"dev-{number}", jti=f"d{number}", lifetime=10, iat=1000
        )
    text = told(story.events)
    first = text.partition("\n\n")[0].split("\n")[2:]
    assert [row.split("  ")[1] for row in first] == [
        *(f"jti-{number}" for number in range(1, 13)),
        "… 12 more",
        *(f"jti-{number}" for number in range(25, 31)),
    ]
    assert text.count("\n\n") == 9
    assert "4 more in the table" in texts(drawing(show.lifetime(story.events).html))


def test_a_bar_is_as_long_as_the_life_it_stands_for() -> None:
    story = Story().add("authserver token.issued", client_id="t-1", jti="a", lifetime=300, iat=1000)
    story.add("broker connect.accepted", client_id="t-1", jti="a", expires_in=300.0)
    story.add("broker connection.closed", client_id="t-1", jti="a", reason="keep-alive", after=150)
    ((token_at, token_width),) = bars(story.events, "violet")
    ((line_at, line_width),) = bars(story.events, "amber")
    assert token_at == line_at
    assert line_width == pytest.approx(token_width / 2, abs=2)
    assert "keep-alive" in told(story.events)


def test_what_is_tried_in_vain_behind_the_last_bar_moves_nothing() -> None:
    """A device without a server tries again at random moments, and two runs of a lesson must look alike."""
    pictures = set()
    for later in (0.2, 31.0, 400.0):
        story = Story().add("authserver token.issued", client_id="t-1", jti="a", lifetime=300, iat=1000)
        story.add("broker connect.accepted", client_id="t-1", jti="a", expires_in=300.0)
        story.add("broker connection.closed", client_id="t-1", jti="a", reason="expired", after=300)
        story.add("device token.failed", client_id="t-1", reason="no answer", after=later)
        pictures.add(show.lifetime(story.events).html)
    assert len(pictures) == 1


def test_time_is_the_same_however_slow_the_machine_is() -> None:
    seen = set()
    for seed in range(60):
        noise = Random(seed)
        clock = [1_767_225_600 + noise.random(), 7.0]  # the lab's, and the real one
        events: list[Event] = []

        def write(
            kind: str, noise: Random = noise, events: list[Event] = events, clock: Any = clock, **facts: Any
        ) -> None:
            source, kind = kind.split(" ")
            wait = noise.uniform(0, 0.15)
            clock[0] += wait
            clock[1] += wait
            facts["client_id"] = "t-1"
            event = Event(
                number=len(events), at=clock[0], real=clock[1], source=source, kind=kind, facts=facts
            )
            events.append(event)

        for jti in ("a", "b", "c"):
            iat = int(clock[0])
            write("authserver token.issued", jti=jti, lifetime=300, iat=iat)
            write("broker connect.accepted", jti=jti, expires_in=iat + 300 - clock[0])
            target = clock[0] + 300  # advance(minutes=5)
            clock[0] = iat + 300  # on the way, a timer of the broker
            write("broker connection.closed", jti=jti, reason="expired")
            clock[0] = max(clock[0], target) + 300
        seen.add(told(events))
    assert seen == {
        "t-1\n"
        "  token  life   issued  expires  then     connected         ended by\n"
        "  jti-1  300 s  0 s     300 s    expired  0 s to 300 s      expired\n"
        "  jti-2  300 s  10 min  15 min   expired  10 min to 15 min  expired\n"
        "  jti-3  300 s  20 min  25 min   expired  20 min to 25 min  expired"
    }


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_are_words_and_nothing_else(text: str) -> None:
    record = Record(lambda: 0.0)
    record.add("authserver", "token.issued", client_id=text, jti=text, lifetime=300)
    record.add("broker", "connect.accepted", client_id=text, jti=text, expires_in=300.0)
    record.add("broker", "connection.closed", client_id=text, jti=text, reason=text)
    raw = [
        Event(
            number=e.number,
            at=e.at,
            source=e.source,
            kind=e.kind,
            facts={**e.facts, "client_id": text, "reason": text},
        )
        for e in record
    ]
    for events in (record, raw):
        words = told(events)
        assert all(c.isprintable() or c == "\n" for c in words)
        assert "54321" not in words
        assert "c2lnbmF0dXJl" not in words


@settings(deadline=None)
@given(any_events)
def test_any_events_are_drawn(events: list[Event]) -> None:
    told(events)
    told(events, "dev-1", since=len(events) // 2)


@pytest.mark.parametrize("thing", [None, 5, ["x"]])
def test_what_is_no_record_is_said_so(thing: Any) -> None:
    assert str(show.lifetime(thing)) == f"no record of events: a {type(thing).__name__}"
    assert str(show.lifetime([])) == "no token was issued, and nobody connected"


class Moments:
    """Places events that are told by when they were, and by how much of that was really waited for."""

    def __init__(self) -> None:
        self.line = Timeline()
        self.number = 0

    def __call__(self, at: float, real: float | None = None, kind: str = "lab tick", **facts: Any) -> int:
        source, kind = kind.split(" ")
        event = Event(number=self.number, at=at, real=real, source=source, kind=kind, facts=facts)
        self.number += 1
        return self.line.place(event)


def test_time_that_was_waited_for_does_not_count_unless_it_was_long() -> None:
    at = Moments()
    assert at(100.0, 0.0) == 0
    assert at(103.4, 3.4) == 0  # a slow machine
    assert at(163.9, 3.9) == 60  # 60 s were skipped
    assert at(166.9, 6.9) == 60
    assert at(196.9, 36.9) == 90  # somebody has had a coffee: 96.9 s since the start, of which 36.9 s real


def test_skipped_time_is_told_in_the_round_number_that_was_skipped() -> None:
    for seeped in (0.01, 0.4, 1.7, 4.9):
        at = Moments()
        assert at(100.0, 0.0) == 0
        assert at(400.0 + seeped, seeped) == 300
        assert at(401.0 + seeped, seeped + 0.001) == 301 if seeped < 1 else True
        assert at(1000.0 + seeped, seeped) == 900


def test_a_refresh_is_told_from_the_token_before_it() -> None:
    """The device counts from there; what came before that took a little longer on every other run."""
    for delay in (0.0, 0.3, 0.6, 0.9):
        at = Moments()
        assert at(100.0, 0.0) == 0
        issued = {"kind": "authserver token.issued", "client_id": "t-1", "lifetime": 300}
        assert at(100 + delay, delay, **issued, jti="a") == 0
        assert at(100 + delay + 231.6, delay + 0.01, **issued, jti="b") == 231
        assert at(100 + delay + 231.6 + 240.5, delay + 0.02, **issued, jti="c") == 472


def test_the_end_of_a_token_is_told_from_its_issue() -> None:
    for phase in (0.0, 0.25, 0.5, 0.99):
        for leeway in (0, 30):
            at = Moments()
            issued = {"jti": "a", "lifetime": 300, "iat": 1000}
            assert at(1000 + phase, 0.0, "authserver token.issued", **issued) == 0
            assert at(1300 + leeway, 0.1, "broker token.expired", jti="a") == 300 + leeway
            assert at.line.expires == {"a": 300}


@pytest.mark.parametrize(
    ("rest", "life"), [(300.0, 300), (299.98, 300), (299.01, 300), (298.9, 300), (44.6, 45), (0.2, 1)]
)
def test_a_token_that_only_the_broker_has_seen(rest: float, life: int) -> None:
    at = Moments()
    at(1000.0, 0.0, "broker connect.accepted", jti="a", expires_in=rest)
    assert at.line.expires == {"a": life}


def test_no_moment_is_before_the_one_before() -> None:
    at = Moments()
    assert [at(moment) for moment in (100.0, 400.0, 50.0, float("nan"), float("inf"), 401.0)] == [
        *(0, 300, 300, 300, 300, 301),
    ]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"), (599, "599 s"), (600, "10 min"), (725, "12 min 5 s"),
        (7200, "2 h"), (7265, "2 h 1 min"), (90_000, "25 h"),
    ],
)  # fmt: skip
def test_spans_for_people(seconds: int, words: str) -> None:
    assert span(seconds) == words


def test_words_keep_to_their_room() -> None:
    assert fitting("short", 400) == "short"
    cut = fitting("devices/thermostat-1/temperature", 100)
    assert cut.endswith("…")
    assert width_of(cut) <= 100
    assert fitting("温" * 50, 100) == "温" * 6 + "…"
    assert width_of("e\u0301") == width_of("e")
    assert fitting("anything", 1) == "…"


def test_a_drawing_follows_the_theme_and_stands_on_its_own_ground() -> None:
    made = Drawing(100, 50, "A <b> & a \x00.")
    made.label(99, 10, "at the right edge", tint="red")
    made.arrow(90, 10, 30, lost=True)
    made.arrow(10, 90, 40)
    root = ET.fromstring(str(made))
    assert root.findtext("{http://www.w3.org/2000/svg}title") == "A <b> & a �."
    style = root.findtext("{http://www.w3.org/2000/svg}style") or ""
    assert "prefers-color-scheme:dark" in style
    assert "@import" not in style
    assert "url(" not in style
    boxes = [rect.attrib for rect in root.iter("{http://www.w3.org/2000/svg}rect")]
    assert boxes[0]["class"] == "ground"
    assert float(boxes[1]["x"]) + float(boxes[1]["width"]) <= 100
