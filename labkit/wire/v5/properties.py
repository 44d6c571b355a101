"""The properties of MQTT 5: a table of what there is, and the one function that reads a set of them.

Spec: MQTT 5 §2.2.2, table 2-4.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Final, Literal, TypeAlias, cast

from labkit.wire.packets import PacketType
from labkit.wire.v5.cursor import Cursor
from labkit.wire.v5.rules import forbidden, malformed, topic_name_fault

__all__ = ["PROPERTIES", "Holder", "Properties", "Property", "Rule", "Value", "label", "read_properties"]

#: Where properties stand: in a packet, or in the will that a CONNECT holds.
Holder: TypeAlias = PacketType | Literal["will"]
#: The data types, by the names of the methods of :class:`Cursor` that read them.
Type: TypeAlias = Literal["byte", "number", "four", "length", "text", "binary", "pair"]
Value: TypeAlias = int | str | bytes | tuple[str, str]


class Property(IntEnum):
    """The identifiers, which are one byte each."""

    PAYLOAD_FORMAT_INDICATOR = 0x01
    MESSAGE_EXPIRY_INTERVAL = 0x02
    CONTENT_TYPE = 0x03
    RESPONSE_TOPIC = 0x08
    CORRELATION_DATA = 0x09
    SUBSCRIPTION_IDENTIFIER = 0x0B
    SESSION_EXPIRY_INTERVAL = 0x11
    ASSIGNED_CLIENT_IDENTIFIER = 0x12
    SERVER_KEEP_ALIVE = 0x13
    AUTHENTICATION_METHOD = 0x15
    AUTHENTICATION_DATA = 0x16
    REQUEST_PROBLEM_INFORMATION = 0x17
    WILL_DELAY_INTERVAL = 0x18
    REQUEST_RESPONSE_INFORMATION = 0x19
    RESPONSE_INFORMATION = 0x1A
    SERVER_REFERENCE = 0x1C
    REASON_STRING = 0x1F
    RECEIVE_MAXIMUM = 0x21
    TOPIC_ALIAS_MAXIMUM = 0x22
    TOPIC_ALIAS = 0x23
    MAXIMUM_QOS = 0x24
    RETAIN_AVAILABLE = 0x25
    USER_PROPERTY = 0x26
    MAXIMUM_PACKET_SIZE = 0x27
    WILDCARD_SUBSCRIPTION_AVAILABLE = 0x28
    SUBSCRIPTION_IDENTIFIER_AVAILABLE = 0x29
    SHARED_SUBSCRIPTION_AVAILABLE = 0x2A


#: What a set of properties says.  One that may stand there more than once has a tuple of its values.
Properties: TypeAlias = Mapping[Property, Value | tuple[Value, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row.

    ``sections`` has the holders that may carry it, each with the section that says so.

    ``repeats`` has the holders in which it may stand more than once; ``fault`` tells what is wrong with a
    value, or ``None``; ``reason_code`` is what a receiver answers to such a value.
    """

    property: Property
    type: Type
    sections: Mapping[Holder, str]
    repeats: frozenset[Holder] = frozenset()
    fault: Callable[[Value], str | None] = lambda value: None
    reason_code: int = 0x82


@cache
def label(property: Property, holder: Holder) -> str:
    """Its name, for example ``"maximum QoS"``; those of a will start with that word."""
    name = property.name.lower().replace("_", " ").replace("qos", "QoS")
    return f"will {name}" if holder == "will" and not name.startswith("will ") else name


def _flag(value: Value) -> str | None:
    return None if value in (0, 1) else "is neither 0 nor 1"


def _zero(value: Value) -> str | None:
    return None if value else "is 0"


def _topic(value: Value) -> str | None:
    fault = topic_name_fault(cast("str", value))
    return fault[0] if fault else None


_T = PacketType
_MESSAGE = "3.3.2.3.{}", "3.1.3.2.{}"  # the properties of a message, and of a will


def _message(publish: int, will: int) -> dict[Holder, str]:
    return {_T.PUBLISH: _MESSAGE[0].format(publish), "will": _MESSAGE[1].format(will)}


def _ends(connect: int | None, connack: int) -> dict[Holder, str]:
    own: dict[Holder, str] = {_T.CONNACK: f"3.2.2.3.{connack}"}
    return own if connect is None else {_T.CONNECT: f"3.1.2.11.{connect}", **own}


_ACKS: Final[Mapping[Holder, str]] = {
    _T.PUBACK: "3.4.2.2",
    _T.PUBREC: "3.5.2.2",
    _T.PUBREL: "3.6.2.2",
    _T.PUBCOMP: "3.7.2.2",
    _T.SUBACK: "3.9.2.1",
    _T.UNSUBACK: "3.11.2.1",
}
_REASON: dict[Holder, str] = {
    **_ends(None, 9),
    **{packet: section + ".2" for packet, section in _ACKS.items()},
    _T.DISCONNECT: "3.14.2.2.3",
    _T.AUTH: "3.15.2.2.4",
}
_USER: dict[Holder, str] = {
    **_ends(8, 10),
    **_message(7, 8),
    **{packet: section + ".3" for packet, section in _ACKS.items()},
    _T.SUBSCRIBE: "3.8.2.1.3",
    _T.UNSUBSCRIBE: "3.10.2.1.2",
    _T.DISCONNECT: "3.14.2.2.4",
    _T.AUTH: "3.15.2.2.5",
}
_SUBSCRIPTION: dict[Holder, str] = {_T.PUBLISH: "3.3.2.3.8", _T.SUBSCRIBE: "3.8.2.1.2"}
_EXPIRY: dict[Holder, str] = {**_ends(2, 2), _T.DISCONNECT: "3.14.2.2.2"}
_SERVER: dict[Holder, str] = {**_ends(None, 16), _T.DISCONNECT: "3.14.2.2.5"}
_METHOD: dict[Holder, str] = {**_ends(9, 17), _T.AUTH: "3.15.2.2.2"}
_DATA: dict[Holder, str] = {**_ends(10, 18), _T.AUTH: "3.15.2.2.3"}
_ALIAS: dict[Holder, str] = {_T.PUBLISH: "3.3.2.3.4"}
_DELAY: dict[Holder, str] = {"will": "3.1.3.2.2"}
_PROBLEM: dict[Holder, str] = {_T.CONNECT: "3.1.2.11.7"}
_RESPONSE: dict[Holder, str] = {_T.CONNECT: "3.1.2.11.6"}

_P = Property


def _row(
    property: Property,
    type: Type,
    sections: Mapping[Holder, str],
    fault: Callable[[Value], str | None] = lambda value: None,
    *,
    repeats: tuple[Holder, ...] = (),
    reason_code: int = 0x82,
) -> tuple[int, Rule]:
    return property, Rule(
        property=property,
        type=type,
        sections=sections,
        repeats=frozenset(repeats),
        fault=fault,
        reason_code=reason_code,
    )


#: Identifier → its rule, in the order of table 2-4.
PROPERTIES: Final[Mapping[int, Rule]] = dict(
    (
        _row(_P.PAYLOAD_FORMAT_INDICATOR, "byte", _message(2, 3), _flag),
        _row(_P.MESSAGE_EXPIRY_INTERVAL, "four", _message(3, 4)),
        _row(_P.CONTENT_TYPE, "text", _message(9, 5)),
        _row(_P.RESPONSE_TOPIC, "text", _message(5, 6), _topic),
        _row(_P.CORRELATION_DATA, "binary", _message(6, 7)),
        _row(_P.SUBSCRIPTION_IDENTIFIER, "length", _SUBSCRIPTION, _zero, repeats=(_T.PUBLISH,)),
        _row(_P.SESSION_EXPIRY_INTERVAL, "four", _EXPIRY),
        _row(_P.ASSIGNED_CLIENT_IDENTIFIER, "text", _ends(None, 7)),
        _row(_P.SERVER_KEEP_ALIVE, "number", _ends(None, 14)),
        _row(_P.AUTHENTICATION_METHOD, "text", _METHOD),
        _row(_P.AUTHENTICATION_DATA, "binary", _DATA),
        _row(_P.REQUEST_PROBLEM_INFORMATION, "byte", _PROBLEM, _flag),
        _row(_P.WILL_DELAY_INTERVAL, "four", _DELAY),
        _row(_P.REQUEST_RESPONSE_INFORMATION, "byte", _RESPONSE, _flag),
        _row(_P.RESPONSE_INFORMATION, "text", _ends(None, 15)),
        _row(_P.SERVER_REFERENCE, "text", _SERVER),
        _row(_P.REASON_STRING, "text", _REASON),
        _row(_P.RECEIVE_MAXIMUM, "number", _ends(3, 3), _zero),
        _row(_P.TOPIC_ALIAS_MAXIMUM, "number", _ends(5, 8)),
        _row(_P.TOPIC_ALIAS, "number", _ALIAS, _zero, reason_code=0x94),
        _row(_P.MAXIMUM_QOS, "byte", _ends(None, 4), _flag),
        _row(_P.RETAIN_AVAILABLE, "byte", _ends(None, 5), _flag),
        _row(_P.USER_PROPERTY, "pair", _USER, repeats=tuple(_USER)),
        _row(_P.MAXIMUM_PACKET_SIZE, "four", _ends(4, 6), _zero),
        _row(_P.WILDCARD_SUBSCRIPTION_AVAILABLE, "byte", _ends(None, 11), _flag),
        _row(_P.SUBSCRIPTION_IDENTIFIER_AVAILABLE, "byte", _ends(None, 12), _flag),
        _row(_P.SHARED_SUBSCRIPTION_AVAILABLE, "byte", _ends(None, 13), _flag),
    )
)


def read_properties(cursor: Cursor, holder: Holder) -> Properties:
    """Read a property length and so many bytes of properties.

    Raises:
        MalformedPacket: a property that does not exist, does not belong here, stands here twice, or says what
            it must not; or the length is not theirs.
    """
    what = "will " if holder == "will" else ""
    length = cursor.length(what + "property length")
    if length > cursor.left:
        raise malformed("the property length reaches beyond the packet", "2.2.2.1")
    end = cursor.at + length
    found: dict[Property, Value | tuple[Value, ...]] = {}
    repeated: dict[Property, list[Value]] = {}  # a tuple that grows would be copied for each of thousands
    while cursor.at < end:
        number = cursor.length(what + "property identifier")
        rule = PROPERTIES.get(number)
        if rule is None:
            raise malformed(f"a property 0x{number:02X} does not exist", "2.2.2.2")
        name = label(rule.property, holder)
        if holder not in rule.sections:
            place = "a will" if holder == "will" else holder.name
            raise malformed(f"{name} is no property of {place}", "2.2.2.2")
        section = rule.sections[holder]
        if rule.property in found and holder not in rule.repeats:
            raise forbidden(f"{name} is there twice", section)
        value = cast("Value", getattr(cursor, rule.type)(name))
        if cursor.at > end:
            raise malformed(f"{name} reaches beyond the property length", "2.2.2.1")
        fault = rule.fault(value)
        if fault is not None:
            raise forbidden(f"{name} {fault}", section, reason_code=rule.reason_code)
        if holder in rule.repeats:
            found.setdefault(rule.property, ())
            repeated.setdefault(rule.property, []).append(value)
        else:
            found[rule.property] = value
    for property, values in repeated.items():
        found[property] = tuple(values)
    return found
