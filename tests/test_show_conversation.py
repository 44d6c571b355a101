"""A conversation is told as it happened, once, in the same words on every run, whatever anybody sent."""

import ast
import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from support_authserver import DEVICE_CODE, running
from support_broker import Client
from support_show import HOSTILE, Story, any_events, drawing, missing_words, texts

from labkit import Lab, show
from labkit.authserver import Credentials
from labkit.errors import TokenRequestFailed
from labkit.record import Event, Record
from labkit.show.conversation import TABLE
from labkit.show.steps import LEFT_OUT
from labkit.wire import Puback, Publish, Will

LABKIT = Path(show.__file__).parent.parent


def told(record: Any, **options: Any) -> str:
    """The text of a conversation, after its picture was found to say no more."""
    shown = show.conversation(record, **options)
    if shown.html is not None:
        root = drawing(shown.html)
        assert missing_words(root, shown.text) == []
        assert [number for number in texts(root, "soft") if number.isdecimal()] == re.findall(
            r"^ *(\d+)  \S", shown.text, flags=re.M
        )
    assert max(map(len, shown.text.split("\n"))) <= 88
    return shown.text


def lines(text: str) -> list[str]:
    """The lines of a conversation, with one gap between the columns."""
    return [re.sub(" {2,}", "  ", line.strip()) for line in text.split("\n")]


def happen(lab: Lab) -> None:
    """A device logs in, does what it may and what it may not; somebody steals its token; time passes."""
    lab.register("thermostat-1", lifetime=300)
    lab.register("mallory", lifetime=300)
    with lab.device("thermostat-1", random=Random(41)) as device:
        device.subscribe("devices/thermostat-1/#")
        device.publish("devices/thermostat-1/temperature", "21.5")
        device.receive()
        with contextlib.suppress(PermissionError):
            device.subscribe("#")
        device.publish("devices/mallory/door", "open")
        thief = Client(lab.mqtt.port)
        assert thief.connect("mallory", device.token()).return_code == 5
        thief.close()
        lab.clock.advance(minutes=5)
    quiet = Client(lab.mqtt.port)
    quiet.connect("thermostat-1", lab.token("thermostat-1"))
    lab.clock.advance(seconds=290)
    lab.clock.advance(seconds=10)
    assert quiet.ended()
    quiet.close()
    lab.authserver.stop()
    with pytest.raises(TokenRequestFailed):
        lab.token("thermostat-1")
    lab.record.wait("connection.closed", reason="expired")


HAPPENED = """\
 1  authorization server                 starts
 2  broker                               starts
 3  thermostat-1 → authorization server  POST /oauth2/token: client_credentials
 4  authorization server → thermostat-1  200: token jti-1 for 300 s
 5  thermostat-1 → broker                CONNECT: token jti-1 as password
 6  broker → authorization server        GET /oauth2/jwks
 7  authorization server → broker        200: 4 keys
 8  broker → thermostat-1                CONNACK 0: accepted
 9  thermostat-1 → broker                SUBSCRIBE devices/thermostat-1/#
10  broker → thermostat-1                SUBACK: granted, QoS 1
11  thermostat-1 → broker                PUBLISH devices/thermostat-1/temperature, QoS 1
12  broker → thermostat-1                PUBLISH devices/thermostat-1/temperature, QoS 1
13  thermostat-1 → broker                SUBSCRIBE #
14  broker → thermostat-1                SUBACK 0x80: not-permitted
15  thermostat-1 → broker                PUBLISH devices/mallory/door
16  broker                               its token does not allow that: not forwarded
17  mallory → broker                     CONNECT: a token as password
18  broker → mallory                     CONNACK 5: wrong-client
    after 232 s
19  thermostat-1 → authorization server  POST /oauth2/token: client_credentials
20  authorization server → thermostat-1  200: token jti-2 for 300 s
21  thermostat-1 → broker                DISCONNECT
22  thermostat-1 → broker                CONNECT: token jti-2 as password
23  broker → thermostat-1                CONNACK 0: accepted
    after 300 s
24  thermostat-1 → broker                DISCONNECT
25  thermostat-1 → authorization server  POST /oauth2/token: client_credentials
26  authorization server → thermostat-1  200: token jti-3 for 300 s
27  thermostat-1 → broker                CONNECT: token jti-3 as password
28  broker → authorization server        GET /oauth2/jwks
29  authorization server → broker        200: 4 keys
30  broker → thermostat-1                CONNACK 0: accepted
    after 10 min
31  broker                               token jti-3 expires
32  broker → thermostat-1                closes the connection: expired
33  authorization server                 stops
34  thermostat-1 → authorization server  POST /oauth2/token: no answer"""


def test_what_really_happened_is_told_in_the_same_words_in_every_lab() -> None:
    pictures = set()
    for _ in range(4):
        with Lab() as lab:
            happen(lab)
            assert told(lab.record) == HAPPENED
            pictures.add(show.conversation(lab.record).html)
    assert len(pictures) == 1


def test_an_hour_of_refreshes_is_counted() -> None:
    with Lab() as lab:
        lab.register("thermostat-1", lifetime=300)
        with lab.device("thermostat-1", random=Random(41)):
            mark = lab.record.mark()
            lab.clock.advance(hours=1)
        text = told(lab.record, since=mark)
    assert "… 12 more refreshes, the last after " in text
    assert re.findall(r"jti-\d+ for", text) == ["jti-1 for", "jti-2 for"]  # 3 to 14 are among the 12
    assert text.endswith("thermostat-1 → broker                DISCONNECT")
    assert "jwks" in text  # asked for by the way, which makes no refresh different from another
    whole = lines(told(lab.record))
    (count,) = (number for number, line in enumerate(whole) if "more refreshes" in line)
    assert whole[count - 1].endswith("broker → thermostat-1  CONNACK 0: accepted")  # a refresh is whole
    assert "12 more" in whole[count]


def test_whatever_is_repeated_is_counted() -> None:
    story = Story().add("broker subscribe.accepted", client_id="a", filter="t", qos=0)
    for _ in range(50):
        story.add("broker publish.accepted", client_id="b", topic="t", qos=0)
        story.add("broker message.delivered", client_id="a", topic="t", qos=0)
    for _ in range(3):
        story.add(
            "authserver token.refused", client_id="c", status=400, error="slow_down", grant="x:device_code"
        )
    for pause in range(9):
        story.add("broker connect.refused", client_id="d", reason="version", return_code=1, after=100 + pause)
    assert lines(told(story.events))[2:] == [
        "3  b → broker  PUBLISH t, QoS 0",
        "4  broker → a  PUBLISH t, QoS 0",
        "5  b → broker  PUBLISH t, QoS 0",
        "6  broker → a  PUBLISH t, QoS 0",
        "… lines 3 to 4, 48 times more",
        *(
            line
            for number in (7, 9, 11)
            for line in (
                f"{number}  c → authorization server  POST /oauth2/token: device_code",
                f"{number + 1}  authorization server → c  400: slow_down",
            )
        ),
        "after 100 s",
        "13  d → broker  CONNECT",
        "14  broker → d  CONNACK 1: version",
        "after 201 s",
        "15  d → broker  CONNECT",
        "16  broker → d  CONNACK 1: version",
        "… lines 13 to 14, 7 times more, the last after 15 min 36 s",
    ]


def test_a_long_conversation_has_an_end() -> None:
    story = Story()
    for number in range(40):
        story.add("broker publish.accepted", client_id="b", topic=f"t/{number}", qos=0)
    assert lines(told(story.events, limit=10))[9:] == [
        "10  b → broker  PUBLISH t/9, QoS 0",
        "… 30 more steps",
    ]
    assert told(story.events[:11], limit=10).endswith("… 1 more step")
    assert "more" not in told(story.events[:10], limit=10)


def test_what_is_said_over_http() -> None:
    with running() as party:
        camera = party.server.register("camera-1", grants=[DEVICE_CODE, "client_credentials"])
        broker = party.server.register_resource_server("mqtt-broker")
        party.alice()
        codes = party.codes(camera)
        party.token(camera, DEVICE_CODE, device_code=codes["device_code"])
        party.server.approve(codes["user_code"], username="alice")
        first = party.token(camera, DEVICE_CODE, device_code=codes["device_code"]).json()
        second = party.refresh(camera, first["refresh_token"]).json()
        party.introspect(second["access_token"], broker)
        party.revoke(second["access_token"], camera)
        party.introspect(second["access_token"], broker)
        party.revoke("no token", camera)
        party.refresh(camera, first["refresh_token"])
        party.post(party.server.introspection_endpoint, {"token": "x"}, Credentials(client_id="x"))
        party.http.get(party.server.metadata_url)
        party.http.get(party.server.jwks_uri)
        party.post(party.server.token_endpoint, "a=b&a=c")
    assert lines(told(party.record, client_id=None)) == [
        "1  authorization server  starts",
        "2  camera-1 → authorization server  POST /oauth2/device_authorization",
        "3  authorization server → camera-1  200: device code and user code",
        "4  camera-1 → authorization server  POST /oauth2/token: device_code",
        "5  authorization server → camera-1  400: authorization_pending",
        "6  authorization server  the owner of camera-1 says yes",
        "7  camera-1 → authorization server  POST /oauth2/token: device_code",
        "8  authorization server → camera-1  200: token jti-1 for 300 s",
        "9  camera-1 → authorization server  POST /oauth2/token: refresh_token",
        "10  authorization server → camera-1  200: token jti-2 for 300 s",
        "11  broker → authorization server  POST /oauth2/introspect",
        "12  authorization server → broker  200: active",
        "13  camera-1 → authorization server  POST /oauth2/revoke",
        "14  authorization server  revokes token jti-2",
        "15  authorization server → camera-1  200",
        "16  broker → authorization server  POST /oauth2/introspect",
        "17  authorization server → broker  200: not active",
        "18  camera-1 → authorization server  POST /oauth2/revoke",
        "19  authorization server → camera-1  200",
        "20  camera-1 → authorization server  POST /oauth2/token: refresh_token",
        "21  authorization server  this refresh token was used before",
        "22  authorization server  revokes token jti-1",
        "23  authorization server  revokes token jti-2",
        "24  authorization server → camera-1  400: invalid_grant",
        "25  x → authorization server  POST /oauth2/introspect",
        "26  authorization server → x  401: invalid_client",
        "27  somebody → authorization server  GET /.well-known/oauth-authorization-server",
        "28  authorization server → somebody  200: metadata",
        "29  somebody → authorization server  GET /oauth2/jwks",
        "30  authorization server → somebody  200: 4 keys",
        "31  somebody → authorization server  POST /oauth2/token",
        "32  authorization server → somebody  400: invalid_request",
        "33  authorization server  stops",
    ]
    assert lines(told(party.record, client_id="x")) == [
        "1  authorization server  starts",
        "2  x → authorization server  POST /oauth2/introspect",
        "3  authorization server → x  401: invalid_client",
        "4  authorization server  stops",
    ]


def test_a_take_over_ends_the_older_connection_before_the_newer_is_welcome() -> None:
    with Lab() as lab:
        lab.register("t-1", publish=["a/#"], subscribe=["a/#"])
        mark, token = lab.record.mark(), lab.token("t-1")
        older, newer = Client(lab.mqtt.port), Client(lab.mqtt.port)
        older.connect("t-1", token, will=Will(topic="a/gone", payload=b"x"))
        newer.connect("t-1", token)
        newer.subscribe("a/#")
        assert older.ended()
        newer.send(Publish(topic="a/b", payload=b"1", qos=1, packet_id=9))
        assert newer.expect(Publish).topic == "a/b"
        assert newer.expect(Puback).packet_id == 9
        for each in (older, newer):
            each.close()
        lab.record.wait("connection.closed", reason="closed-by-client")
        assert lines(told(lab.record, since=mark))[6:] == [
            "7  t-1 → broker  CONNECT: token jti-1 as password",
            "8  broker  t-1 is here twice: the newer one stays",
            "9  broker  publishes the will of t-1: a/gone",
            "10  broker → t-1  closes the connection: taken-over",
            "11  broker → t-1  CONNACK 0: accepted",
            "12  t-1 → broker  SUBSCRIBE a/#",
            "13  broker → t-1  SUBACK: granted, QoS 1",
            "14  t-1 → broker  PUBLISH a/b, QoS 1",
            "15  broker → t-1  PUBLISH a/b, QoS 1",
            "16  t-1 → broker  closes the connection without DISCONNECT",
        ]


def test_who_leaves_and_comes_back_left_first_whoever_wrote_first() -> None:
    token, came = ("authserver token.issued", {"jti": "b"}), ("broker connect.accepted", {"jti": "b"})
    left, asked = ("broker connection.closed", {"reason": "disconnect"}), ("broker decision.pending", {})
    seen = {
        told(_reconnecting(order))
        for order in ([token, left, asked, came], [token, asked, left, came], [token, asked, came, left])
    }
    assert len(seen) == 1
    assert lines(seen.pop())[4:] == [
        "5  t-1 → broker  DISCONNECT",
        "6  t-1 → broker  CONNECT: token jti-2 as password",
        "7  broker → t-1  CONNACK 0: accepted",
    ]


def _reconnecting(order: list[tuple[str, dict[str, Any]]]) -> list[Event]:
    story = Story().add("broker connect.accepted", client_id="t-1", jti="a", carrier="password")
    for kind, facts in order:
        story.add(kind, client_id="t-1", carrier="password", **facts)
    return story.events


def test_the_end_of_a_connection_is_told_once_whoever_sees_it_first() -> None:
    """A device that is asked to leave does not wait for the broker to write that down."""
    start = Story().add("broker connect.accepted", client_id="t-1", jti="a").events
    says, sees = ("device disconnected", "asked to"), ("broker connection.closed", "disconnect")
    other = ("authserver token.revoked", None)
    seen = set()
    for order in ([says], [says, sees], [says, other], [says, sees, other], [says, other, sees]):
        story = Story()
        story.events = [*start]
        for kind, reason in order:
            story.add(kind, client_id="t-1" if reason else "t-2", reason=reason)
        text = told(story.events)
        assert text.count("DISCONNECT") == 1
        assert told(story.events, since=2).count("DISCONNECT") == 0  # told before: whenever its echo comes
        seen.add(tuple(line.split() for line in text.split("\n")[:3]).__repr__())
    assert len(seen) == 1
    # And a device may be sent away, and asked to leave before it has noticed.
    story = Story()
    story.events = [*start]
    story.add("broker connection.closed", client_id="t-1", reason="revoked")
    story.add("device disconnected", client_id="t-1", reason="asked to")
    story.add("broker connect.accepted", client_id="t-1", jti="b")
    story.add("broker connection.closed", client_id="t-1", reason="disconnect")
    assert [line.split("  ")[-1] for line in lines(told(story.events))] == [
        "CONNECT", "CONNACK 0: accepted", "closes the connection: revoked",
        "CONNECT", "CONNACK 0: accepted", "DISCONNECT",
    ]  # fmt: skip


def test_a_refused_stranger_does_not_send_the_owner_away() -> None:
    story = Story().add("broker connect.accepted", client_id="t-1", jti="a")
    story.add("broker connect.refused", client_id="t-1", reason="forged", return_code=4, carrier="username")
    story.add("broker connection.closed", client_id="t-1", reason="disconnect")
    assert told(story.events).endswith("5  t-1 → broker  DISCONNECT")


def test_what_only_the_device_has_seen_is_told_as_it_saw_it() -> None:
    """A device at somebody else's servers: its own record is all there is."""
    story = Story().add("device token.fetched", client_id="t-1", grant="client_credentials", expires_in=60)
    story.add("device connected", client_id="t-1").add(
        "device subscribe.refused", client_id="t-1", filter="#"
    )
    story.add("device disconnected", client_id="t-1", reason="closed by the broker", after=60)
    story.add("device token.failed", client_id="t-1", reason="no answer from example")
    for _ in range(5):
        story.add("device backing-off", client_id="t-1", seconds=0.123)
        story.add("device token.failed", client_id="t-1", reason="no answer from example")
    story.add("device token.failed", client_id="t-2", reason="example must be asked over https")
    story.add("device token.failed", client_id="t-1", reason="the answer of example is too long")
    story.add("device connect.failed", client_id="t-1").add(
        "device connect.refused", client_id="t-1", return_code=5
    )
    story.add("device message.dropped", client_id="t-1")
    assert lines(told(story.events)) == [
        "1  t-1 → authorization server  POST /oauth2/token: client_credentials",
        "2  authorization server → t-1  200: a token for 60 s",
        "3  t-1 → broker  CONNECT",
        "4  broker → t-1  CONNACK 0: accepted",
        "5  t-1 → broker  SUBSCRIBE #",
        "6  broker → t-1  SUBACK 0x80",
        "after 60 s",
        "7  broker → t-1  closes the connection",
        "8  t-1 → authorization server  POST /oauth2/token: no answer",
        "9  t-2 → authorization server  POST /oauth2/token: not sent",
        "10  t-1 → authorization server  POST /oauth2/token: no usable answer",
        "11  t-1 → broker  opens a TCP connection: no answer",
        "12  t-1 → broker  CONNECT",
        "13  broker → t-1  CONNACK 5",
        "14  t-1  drops messages: nobody takes them",
    ]


def test_the_key_set_is_fetched_within_the_connect_that_needs_it() -> None:
    story = Story().add("broker decision.pending", client_id="t-1", carrier="username")
    story.add("authserver keys.served", keys=1).add("authserver keys.served", keys=1)
    story.add("broker keys.fetched", keys=1).add("broker keys.failed", reason="no answer")
    story.add("broker connect.refused", client_id="t-1", carrier="username", reason="forged", return_code=4)
    assert lines(told(story.events)) == [
        "1  t-1 → broker  CONNECT: a token as username",
        "2  somebody → authorization server  GET /oauth2/jwks",
        "3  authorization server → somebody  200: 1 key",
        "4  broker → authorization server  GET /oauth2/jwks",
        "5  authorization server → broker  200: 1 key",
        "6  broker → authorization server  GET /oauth2/jwks: no usable answer",
        "7  broker → t-1  CONNACK 4: forged",
    ]
    story.add("broker connect.refused", client_id="t-2", reason="version", return_code=1)
    assert len(lines(told(story.events, client_id="t-1"))) == 7
    assert len(lines(told(story.events, client_id="t-2"))) == 2


def test_every_kind_of_event_is_told_or_left_out_on_purpose() -> None:
    assert not TABLE.keys() & LEFT_OUT.keys()
    written = set(_written())
    assert len(written) > 40
    assert written <= TABLE.keys() | LEFT_OUT.keys()
    for source, kind in TABLE:
        story = Story().add(f"{source} {kind}", client_id="t-1", reason="no answer", caller="t-1", path="/x")
        assert re.match(r"^1  \S", told(story.events)), kind
    for source, kind in LEFT_OUT:
        assert told(Story().add(f"{source} {kind}", client_id="t-1").events) == "nothing happened"


def _written() -> Iterator[tuple[str, str]]:
    """Source and kind of everything that the servers and the device write into a record."""
    rooms = {"broker": "broker", "authserver": "authserver", "device.py": "device", "lab.py": "broker"}
    writers = {"add", "note", "_note", "_note_message", "_end", "_close_one", "partial", "Form"}
    kind = re.compile(r"[a-z]+[.-][a-z-]+|introspection|connected|disconnected|refreshed")
    for room, source in rooms.items():
        path = LABKIT / room
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            calls = [
                node for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.Call)
            ]
            for call in calls:
                if getattr(call.func, "attr", getattr(call.func, "id", "")) in writers:
                    for part in (part for argument in call.args for part in ast.walk(argument)):
                        value = getattr(part, "value", None)
                        if isinstance(value, str) and kind.fullmatch(value):
                            yield source, value


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_and_topics_are_words_and_nothing_else(text: str) -> None:
    record = Record(lambda: 0.0)
    record.add("broker", "connect.accepted", client_id=text, jti=text, carrier=text)
    record.add("broker", "connect.refused", client_id=text, reason=text, return_code=5, carrier=text)
    record.note("broker", "publish.accepted", ("client_id", "topic"), (text, text))
    record.add("broker", "subscribe.refused", client_id=text, filter=text, reason=text)
    record.add("broker", "connection.closed", client_id=text, jti=text, reason=text)
    record.add("authserver", "token.refused", client_id=text, error=text, status=401, grant=text)
    record.add("lab", "tick", client_id=text)
    raw = [
        Event(number=e.number, at=e.at, source=e.source, kind=e.kind, facts=dict.fromkeys(e.facts, text))
        for e in record
    ]
    for events in (record, raw):
        told_text = told(events)
        assert all(c.isprintable() or c == "\n" for c in told_text)
        assert "54321" not in told_text
        assert "c2lnbmF0dXJl" not in told_text
        assert "<script" not in re.sub(r"<pre.*</pre>", "", str(show.conversation(events).html))


def test_a_client_cannot_pass_for_a_server() -> None:
    story = Story().add("broker connect.refused", client_id="broker", return_code=5, reason="wrong-client")
    story.add(
        "authserver token.refused", client_id="authorization server ", status=401, error="invalid_client"
    )
    text = told(story.events)
    assert "“broker” → broker" in text
    assert "“authorization server” → authorization server" in text


def test_many_devices_share_a_line_in_the_picture() -> None:
    story = Story()
    for number in range(9):
        story.add("broker message.delivered", client_id=f"dev-{number}", topic="a", qos=0)
    shown = show.conversation(story.events)
    assert "others" in texts(drawing(shown.html))
    assert "dev-8: PUBLISH a, QoS 0" in texts(drawing(shown.html))
    assert lines(told(story.events))[-1] == "(in the picture, 5 devices share the line “others”)"


@pytest.mark.parametrize("thing", [None, 5, ["x"], object()])
def test_what_is_no_record_is_said_so(thing: Any) -> None:
    assert str(show.conversation(thing)) == f"no record of events: a {type(thing).__name__}"
    assert str(show.conversation([])) == "nothing happened"


@settings(deadline=None)
@given(any_events)
def test_any_events_are_told(events: list[Event]) -> None:
    told(events)
    told(events, since=len(events) // 2, limit=3)


def test_time_is_the_same_however_slow_the_machine_is() -> None:
    """Real time seeps in between events: at any phase of a second, and up to a second in all."""
    seen = set()
    for seed in range(60):
        noise = Random(seed)
        seen.add(told(_hour(noise, waits=0.02 if seed % 2 else 0.12)))
    assert len(seen) == 1
    pauses = re.findall("after (.*)", seen.pop())
    assert pauses == ["232 s", "300 s", "10 min", "15 min", "20 min"]


def _hour(noise: Random, waits: float) -> list[Event]:
    """A device that refreshes once, a token that is never used, an end at ``exp``, and a visitor."""
    clock = [1_767_225_600 + noise.random(), 50.0]  # the lab's, and the real one

    def write(kind: str, source: str, **facts: Any) -> None:
        wait = noise.uniform(0, waits)
        clock[0] += wait
        clock[1] += wait
        events.append(
            Event(
                number=len(events),
                at=clock[0],
                real=clock[1],
                source=source,
                kind=kind,
                facts={"client_id": "t-1"} | facts,
            )
        )

    def issue(jti: str) -> int:
        iat = int(clock[0])
        write("token.issued", "authserver", jti=jti, lifetime=300, iat=iat)
        write("connect.accepted", "broker", jti=jti, carrier="password", expires_in=iat + 300 - clock[0])
        return iat + 300

    def until(moment: float) -> None:
        clock[0] = max(clock[0], moment)

    events: list[Event] = []
    start = clock[0]
    issue("a")
    write("publish.accepted", "broker", topic="a", qos=1)
    target = clock[0] + 300  # advance(minutes=5)
    until(start + 232.3)  # on the way, a timer of the device
    write("connection.closed", "broker", reason="disconnect")
    issue("b")
    until(target)
    write("publish.accepted", "broker", topic="a", qos=1)
    until(clock[0] + 300)
    expires = issue("c")
    target = clock[0] + 300
    until(expires)  # on the way, a timer of the broker
    write("token.expired", "broker", jti="c")
    write("connection.closed", "broker", jti="c", reason="expired")
    until(target)
    until(clock[0] + 300)
    write("connect.refused", "broker", client_id="x", reason="expired", return_code=4)
    return events
