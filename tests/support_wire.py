"""Packets from codecs that are not ours, damage to them, and what a dissection says, for comparison."""

from collections.abc import Callable
from struct import pack
from typing import Any

import mqtt5
from hypothesis import strategies as st

from labkit.wire import Dissection, dissect, frame

ids = st.integers(1, 65535)
text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
binary = st.binary(max_size=24)
topics = st.text(st.characters(exclude_characters="\0+#", exclude_categories=["Cs"]), min_size=1, max_size=12)
filters = st.sampled_from(["a", "#", "+", "a/#", "a/+/b", "+/a/#", "/", "$share/g/a/#", "$SYS/x", "ä/ö"])
four = st.integers(0, 0xFFFFFFFF)
users = st.lists(st.tuples(text, text), max_size=3)


def _maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def _of(enumeration: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from([getattr(enumeration, name) for name in dir(enumeration) if name.isupper()])


_qos = _of(mqtt5.QoS)
_message = {
    "payload_format_indicator": st.integers(0, 1),
    "message_expiry_interval": _maybe(four),
    "content_type": _maybe(text),
    "response_topic": _maybe(topics),
    "correlation_data": _maybe(binary),
    "user_properties": users,
}
_reason = {"reason_str": _maybe(text), "user_properties": users}
_wills = st.builds(
    mqtt5.Will,
    topics,
    payload=binary,
    qos=_qos,
    retain=st.booleans(),
    will_delay_interval=four,
    **_message,
)
_limits = {
    "receive_max": st.integers(1, 65535),
    "topic_alias_max": st.integers(0, 65535),
    "max_packet_size": _maybe(st.integers(1, 0xFFFFFFFF)),
    "user_properties": users,
}
_auth = st.fixed_dictionaries({}) | st.fixed_dictionaries(
    {"authentication_method": text, "authentication_data": _maybe(binary)}
)


@st.composite
def _connects(draw: st.DrawFn) -> Any:
    fields = {
        "username": _maybe(text),
        "password": _maybe(binary),
        "clean_start": st.booleans(),
        "will": _maybe(_wills),
        "keep_alive": st.integers(0, 65535),
        "session_expiry_interval": four,
        "request_problem_info": st.booleans(),
        "request_response_info": st.booleans(),
        **_limits,
    }
    return mqtt5.ConnectPacket(draw(text), **draw(st.fixed_dictionaries(fields)), **draw(_auth))


@st.composite
def _connacks(draw: st.DrawFn) -> Any:
    reason = draw(_of(mqtt5.ConnAckReasonCode))
    fields = {
        "session_expiry_interval": _maybe(four),
        "assigned_client_id": _maybe(text),
        "server_keep_alive": _maybe(st.integers(0, 65535)),
        "response_info": _maybe(text),
        "server_reference": _maybe(text),
        "reason_str": _maybe(text),
        "max_qos": st.sampled_from([mqtt5.QoS.AT_MOST_ONCE, mqtt5.QoS.AT_LEAST_ONCE]) | st.nothing(),
        "retain_available": st.booleans(),
        "wildcard_subscription_available": st.booleans(),
        "subscription_id_available": st.booleans(),
        "shared_subscription_available": st.booleans(),
        **_limits,
    }
    drawn = draw(st.fixed_dictionaries({}, optional=fields))
    present = draw(st.booleans()) if int(reason) == 0 else False
    return mqtt5.ConnAckPacket(session_present=present, reason_code=reason, **drawn, **draw(_auth))


@st.composite
def _publishes(draw: st.DrawFn) -> Any:
    qos = draw(_qos)
    topic = draw(topics | st.just(""))
    alias = draw(st.integers(1, 65535) if not topic else _maybe(st.integers(1, 65535)))
    return mqtt5.PublishPacket(
        topic,
        draw(binary),
        qos=qos,
        packet_id=draw(ids) if int(qos) else None,
        duplicate=draw(st.booleans()) if int(qos) else False,
        retain=draw(st.booleans()),
        topic_alias=alias,
        subscription_ids=draw(st.lists(st.integers(1, 268_435_455), max_size=3)),
        **draw(st.fixed_dictionaries(_message)),
    )


@st.composite
def _subscribes(draw: st.DrawFn) -> Any:
    wanted = []
    for pattern in draw(st.lists(filters, min_size=1, max_size=3)):
        no_local = draw(st.booleans()) and not pattern.startswith("$share/")
        kept, handling = draw(st.booleans()), draw(_of(mqtt5.RetainHandling))
        wanted.append(
            mqtt5.TopicFilter(
                pattern,
                max_qos=draw(_qos),
                no_local=no_local,
                retain_as_published=kept,
                retain_handling=handling,
            )
        )
    number = draw(_maybe(st.integers(1, 268_435_455)))
    return mqtt5.SubscribePacket(draw(ids), wanted, subscription_id=number, user_properties=draw(users))


def _acks(packet: Any, reasons: Any) -> st.SearchStrategy[Any]:
    return st.builds(packet, ids, reason_code=_of(reasons), **_reason)


def _lists(packet: Any, reasons: Any) -> st.SearchStrategy[Any]:
    return st.builds(packet, ids, st.lists(_of(reasons), min_size=1, max_size=4), **_reason)


#: The fifteen types of MQTT 5, built by a codec that is not ours.
V5: dict[str, st.SearchStrategy[Any]] = {
    "CONNECT": _connects(),
    "CONNACK": _connacks(),
    "PUBLISH": _publishes(),
    "PUBACK": _acks(mqtt5.PubAckPacket, mqtt5.PubAckReasonCode),
    "PUBREC": _acks(mqtt5.PubRecPacket, mqtt5.PubRecReasonCode),
    "PUBREL": _acks(mqtt5.PubRelPacket, mqtt5.PubRelReasonCode),
    "PUBCOMP": _acks(mqtt5.PubCompPacket, mqtt5.PubCompReasonCode),
    "SUBSCRIBE": _subscribes(),
    "SUBACK": _lists(mqtt5.SubAckPacket, mqtt5.SubAckReasonCode),
    "UNSUBSCRIBE": st.builds(
        mqtt5.UnsubscribePacket, ids, st.lists(filters, min_size=1, max_size=3), user_properties=users
    ),
    "UNSUBACK": _lists(mqtt5.UnsubAckPacket, mqtt5.UnsubAckReasonCode),
    "PINGREQ": st.builds(mqtt5.PingReqPacket),
    "PINGRESP": st.builds(mqtt5.PingRespPacket),
    "DISCONNECT": st.builds(
        mqtt5.DisconnectPacket,
        reason_code=_of(mqtt5.DisconnectReasonCode),
        session_expiry_interval=_maybe(four),
        server_reference=_maybe(text),
        **_reason,
    ),
    "AUTH": st.builds(
        mqtt5.AuthPacket,
        reason_code=_of(mqtt5.AuthReasonCode),
        authentication_method=text,
        authentication_data=_maybe(binary),
        **_reason,
    ),
}


def told(data: bytes, version: int) -> dict[str, list[bytes]]:
    """What a dissection of a packet that keeps every rule says: the bytes of each field by its name."""
    parts = dissect(data, version)
    assert parts.valid, parts
    covers(parts, data)
    found: dict[str, list[bytes]] = {}
    for part in parts:
        found.setdefault(part.name, []).append(data[part.start : part.end])
    return found


def covers(parts: Dissection, data: bytes) -> None:
    """Every byte is in exactly one range, and the ranges are in order."""
    assert [part.start for part in parts] == [0, *(part.end for part in parts)][:-1]
    assert parts[-1].end == len(data)
    assert all(part.start <= part.end for part in parts)


@st.composite
def damage(draw: st.DrawFn, packets: st.SearchStrategy[bytes]) -> bytes:
    """A packet with bytes flipped, put in, taken out or cut off; half of them get a length that fits."""
    raw = bytearray(draw(packets))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(raw) - 1)))
        match draw(st.sampled_from(["flip", "flip", "set", "insert", "delete", "cut"])):
            case "flip" if raw:
                raw[at] ^= 1 << draw(st.integers(0, 7))
            case "set" if raw:
                raw[at] = draw(st.integers(0, 255))
            case "insert":
                raw[at:at] = draw(st.binary(min_size=1, max_size=3))
            case "delete":
                del raw[at : at + draw(st.integers(1, 3))]
            case "cut":
                del raw[at:]
    if raw and draw(st.booleans()):  # else most of it would fail at the remaining length already
        body = 1
        while body < min(len(raw), 4) and raw[body] & 0x80:
            body += 1
        return frame(raw[0], bytes(raw[body + 1 :]))
    return bytes(raw)


def two(value: Any) -> bytes:
    return pack("!H", int(value))


def quad(value: Any) -> bytes:
    return pack("!I", int(value))


def one(value: Any) -> bytes:
    return bytes((int(value),))


def varying(value: int) -> bytes:
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*digits, value))


def utf8(value: str) -> bytes:
    return value.encode()


#: Name in a dissection → attribute in the codec, how the value is written, and what its absence means.
PROPERTIES: dict[str, tuple[str, Callable[[Any], bytes], Any]] = {
    "payload format indicator": ("payload_format_indicator", one, 0),
    "message expiry interval": ("message_expiry_interval", quad, None),
    "content type": ("content_type", utf8, None),
    "response topic": ("response_topic", utf8, None),
    "correlation data": ("correlation_data", bytes, None),
    "session expiry interval": ("session_expiry_interval", quad, None),
    "assigned client identifier": ("assigned_client_id", utf8, None),
    "server keep alive": ("server_keep_alive", two, None),
    "authentication method": ("authentication_method", utf8, None),
    "authentication data": ("authentication_data", bytes, None),
    "request problem information": ("request_problem_info", one, True),
    "will delay interval": ("will_delay_interval", quad, 0),
    "request response information": ("request_response_info", one, False),
    "response information": ("response_info", utf8, None),
    "server reference": ("server_reference", utf8, None),
    "reason string": ("reason_str", utf8, None),
    "receive maximum": ("receive_max", two, 65535),
    "topic alias maximum": ("topic_alias_max", two, 0),
    "topic alias": ("topic_alias", two, None),
    "maximum QoS": ("max_qos", one, 2),
    "retain available": ("retain_available", one, True),
    "maximum packet size": ("max_packet_size", quad, None),
    "wildcard subscription available": ("wildcard_subscription_available", one, True),
    "subscription identifier available": ("subscription_id_available", one, True),
    "shared subscription available": ("shared_subscription_available", one, True),
}
