"""From scopes to rights: what a token lets a device publish, subscribe to and receive.

A scope such as ``mqtt.subscribe:devices/a/#`` *grants* a topic filter.  A device that subscribes *wants* a
filter, too, and the question is whether every topic of the wanted filter is a topic of the granted one:
containment, never matching.  (Matching ``devices/a/#`` against ``#`` as if it were a topic is how ``#`` gets
through.)  The grant ``a/#`` contains ``a``, ``a/b``, ``a/+`` and ``a/+/#``; it does not contain ``+/b``.

Words: a *level* is what stands between two slashes, and may be empty; a *filter* may use the wildcards ``+``
(one level) and ``#`` (all levels that follow, or none); a *topic* has none of them.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = [
    "Permissions",
    "covers",
    "matches",
    "scope_for_publish",
    "scope_for_subscribe",
    "valid_filter",
    "valid_topic",
]

PUBLISH = "mqtt.publish:"
SUBSCRIBE = "mqtt.subscribe:"
_SHARE = "$share"

#: The longest topic or filter, in bytes of UTF-8: its length travels in two bytes (MQTT 3.1.1 §1.5.3).
_LONGEST = 65_535
#: scope-token of RFC 6749 §3.3: printable ASCII without space, quotation mark and backslash.
_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")


def valid_topic(topic: str) -> bool:
    """Whether ``topic`` can be published to: well-formed, and without a wildcard.

    Spec: MQTT 3.1.1 §4.7.3, §3.3.2.1.
    """
    return _well_formed(topic) and "+" not in topic and "#" not in topic


def valid_filter(topic_filter: str) -> bool:
    """Whether ``topic_filter`` can be subscribed to: well-formed, and wildcards fill whole levels.

    Spec: MQTT 3.1.1 §4.7.1 (``#`` comes last and alone in its level, ``+`` alone in its level), §4.7.3.
    """
    if not _well_formed(topic_filter):
        return False
    if "+" not in topic_filter and "#" not in topic_filter:
        return True
    *inner, last = topic_filter.split("/")
    return all(_plain(level) or level == "+" for level in inner) and (_plain(last) or last in ("+", "#"))


def matches(topic_filter: str, topic: str) -> bool:
    """Whether ``topic`` is one of the topics of ``topic_filter``; ``False`` when either is ill-formed.

    Spec: MQTT 3.1.1 §4.7.1 (``a/#`` takes in ``a``), §4.7.2 (a leading wildcard does not reach ``$`` topics).
    """
    # A topic is the filter that has itself as its only topic.
    return valid_topic(topic) and covers(topic_filter, topic)


def covers(grant: str, wanted: str) -> bool:
    """Whether every topic of the filter ``wanted`` is a topic of the filter ``grant``.

    Exact, for all filters; ``False`` when either is ill-formed.  ``$share`` has no meaning here: see
    :meth:`Permissions.may_subscribe`.

    Spec: MQTT 3.1.1 §4.7.
    """
    return valid_filter(grant) and valid_filter(wanted) and _contains(grant.split("/"), wanted.split("/"))


@dataclass(frozen=True, slots=True)
class Permissions:
    """The topic rights that the scopes of one token add up to.

    A wanted filter must lie inside a *single* grant: ``a`` and ``a/+/#`` together hold every topic of
    ``a/#``, and still do not allow it.  That errs on the safe side, and nobody grants rights that way.

    Attributes:
        publish: granted filters for publishing, in the order of the scopes.
        subscribe: granted filters for subscribing and receiving.
    """

    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()

    @classmethod
    def from_scopes(cls, scopes: Iterable[str]) -> "Permissions":
        """The rights in a list of scopes.

        Scopes that are not about topics are passed over, and so is one with an ill-formed filter, such as
        ``mqtt.publish:a/#/b``, or with ``$share`` in it: what cannot be understood grants nothing.
        """
        publish: list[str] = []
        subscribe: list[str] = []
        for scope in scopes:
            if scope.startswith(PUBLISH):
                granted, granted_filter = publish, scope[len(PUBLISH) :]
            elif scope.startswith(SUBSCRIBE):
                granted, granted_filter = subscribe, scope[len(SUBSCRIBE) :]
            else:
                continue
            if valid_filter(granted_filter) and not _is_share(granted_filter):
                granted.append(granted_filter)
        return cls(tuple(publish), tuple(subscribe))

    def may_publish(self, topic: str) -> bool:
        """Whether a message, or a will, may go to ``topic``."""
        return valid_topic(topic) and _any_contains(self.publish, topic)

    def may_subscribe(self, topic_filter: str) -> bool:
        """Whether ``topic_filter`` may be subscribed to.

        ``$share/<group>/<filter>`` is judged by the filter inside, and refused when it is ill-formed.

        Spec: MQTT 5 §4.8.2 (shared subscriptions).
        """
        if not valid_filter(topic_filter):
            return False
        if _is_share(topic_filter):
            _, group, topic_filter = (*topic_filter.split("/", 2), "", "")[:3]
            if not group or not _plain(group) or _is_share(topic_filter) or not valid_filter(topic_filter):
                return False
        return _any_contains(self.subscribe, topic_filter)

    def may_receive(self, topic: str) -> bool:
        """Whether a message from ``topic`` may be delivered: the last look, whoever had it sent."""
        return valid_topic(topic) and _any_contains(self.subscribe, topic)


def scope_for_publish(topic_filter: str) -> str:
    """The scope that grants publishing to ``topic_filter``.

    Raises:
        ValueError: it is no topic filter, or has characters that a scope cannot carry.

    Spec: RFC 6749 §3.3.
    """
    return _scope(PUBLISH, topic_filter)


def scope_for_subscribe(topic_filter: str) -> str:
    """The scope that grants subscribing to ``topic_filter``.

    Raises:
        ValueError: it is no topic filter, or has characters that a scope cannot carry.

    Spec: RFC 6749 §3.3.
    """
    return _scope(SUBSCRIBE, topic_filter)


def _scope(prefix: str, topic_filter: str) -> str:
    if not valid_filter(topic_filter):
        raise ValueError(f"{topic_filter!r} is no topic filter: + and # fill whole levels, and # comes last")
    if _is_share(topic_filter):
        raise ValueError(f"{topic_filter!r} is a shared subscription: grant the filter after the group")
    if not _SCOPE_TOKEN.fullmatch(topic_filter):
        raise ValueError(
            f"{topic_filter!r} cannot be part of a scope: no spaces, quotation marks, backslashes or"
            " non-ASCII characters (RFC 6749 §3.3)"
        )
    return prefix + topic_filter


def _well_formed(text: str) -> bool:
    """At least one character, no U+0000, no surrogates, at most 65,535 bytes of UTF-8 (§4.7.3, §1.5.3)."""
    if not text or "\0" in text:
        return False
    if text.isascii():
        return len(text) <= _LONGEST
    try:
        return len(text.encode()) <= _LONGEST
    except UnicodeEncodeError:  # a lone surrogate
        return False


def _plain(level: str) -> bool:
    return "+" not in level and "#" not in level


def _is_share(topic_filter: str) -> bool:
    return topic_filter == _SHARE or topic_filter.startswith(_SHARE + "/")


def _any_contains(grants: tuple[str, ...], wanted: str) -> bool:
    levels = wanted.split("/")
    return any(_contains(grant.split("/"), levels) for grant in grants)


def _contains(grant: list[str], wanted: list[str]) -> bool:
    """Containment of two well-formed filters, level by level."""
    # A leading wildcard does not reach topics that start with $ (§4.7.2), neither as grant nor as wish:
    # so it contains no filter that starts with such a level, and between two of them nothing changes.
    if grant[0] in ("+", "#") and wanted[0].startswith("$"):
        return False
    # "#" stands for no level, too: a/# takes in the topic "a", and a/+/# does not.  But no topic has no level
    # at all, or a single empty one, so there "#" says no more than "+/#".
    if wanted in (["#"], ["", "#"]):
        wanted = [*wanted[:-1], "+", "#"]
    for position, level in enumerate(grant):
        if level == "#":
            return True
        if position == len(wanted) or wanted[position] == "#":
            return False
        if level not in ("+", wanted[position]):
            return False
    return len(grant) == len(wanted)
