"""How a broken rule of MQTT 5 is told, and the rules of topics, which several packets share.

Bytes that cannot be read are a Malformed Packet; bytes that can be read but that the protocol forbids are a
Protocol Error (§1.2, §4.13.1).  The two have different reason codes.
"""

from labkit.errors import MalformedPacket

__all__ = ["forbidden", "malformed", "shared", "topic_filter_fault", "topic_name_fault"]


def malformed(message: str, section: str) -> MalformedPacket:
    """A Malformed Packet."""
    return MalformedPacket(message, spec=f"MQTT 5 §{section}")


def forbidden(message: str, section: str, *, reason_code: int = 0x82) -> MalformedPacket:
    """A Protocol Error, or a more specific one."""
    return MalformedPacket(message, spec=f"MQTT 5 §{section}", reason_code=reason_code)


def topic_name_fault(topic: str) -> tuple[str, str] | None:
    """What is wrong with a topic name, and the section that says so.  An empty one may have an alias."""
    if not topic:
        return "is empty", "4.7.3"
    if "+" in topic or "#" in topic:
        return "holds a wildcard", "4.7.1"
    return None


def topic_filter_fault(topic_filter: str) -> tuple[str, str] | None:
    """What is wrong with a topic filter, and the section that says so."""
    if shared(topic_filter):
        _, _, rest = topic_filter.partition("/")
        group, slash, topic_filter = rest.partition("/")
        if not group or "+" in group or "#" in group or not slash or not topic_filter:
            return "is no filter of a shared subscription", "4.8.2"
    if not topic_filter:
        return "is empty", "4.7.3"
    levels = topic_filter.split("/")
    if any("#" in level for level in levels[:-1]) or ("#" in levels[-1] and levels[-1] != "#"):
        return "has # elsewhere than as its last level", "4.7.1.2"
    if any("+" in level and level != "+" for level in levels):
        return "has + as a part of a level", "4.7.1.3"
    return None


def shared(topic_filter: str) -> bool:
    """Whether it asks for a shared subscription.  Spec: MQTT 5 §4.8.2."""
    return topic_filter.startswith("$share/")
