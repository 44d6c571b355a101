"""Whose rights, and which: the input of every translation."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from labkit.topics import Permissions, scope_for_publish, scope_for_subscribe, valid_filter

__all__ = ["DEFAULT", "Rights", "of", "template", "usable_client_id"]

_PLACEHOLDER = "{client_id}"
#: What a device may publish and subscribe to when nobody says otherwise.
DEFAULT = (f"devices/{_PLACEHOLDER}/#",)

#: Visible ASCII that can stand in a level of a topic and in a scope: no slash, plus, hash, quotation mark and
#: backslash.  With a wildcard in it, a client id would be a pattern that fits other devices (CVE-2017-7650).
_CLIENT_ID = re.compile(r"[\x21\x24-\x2a\x2c-\x2e\x30-\x5b\x5d-\x7e]{1,128}")
_MEANT_AS_PLACEHOLDER = re.compile(r"\$?\{[A-Za-z][\w.-]*\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What one device may do.

    Attributes:
        client_id: the device.
        publish: topic filters it may publish to.
        subscribe: topic filters it may subscribe to and receive from.
    """

    client_id: str
    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_client_id(self.client_id)
        for topic_filter in (*self.publish, *self.subscribe):
            if not isinstance(topic_filter, str) or not valid_filter(topic_filter):
                raise ValueError(f"{topic_filter!r:.80} is no topic filter: + and # fill whole levels")
            if topic_filter.split("/")[0] == "$share":
                raise ValueError(f"{topic_filter!r:.80} is a shared subscription: grant the filter inside")

    @property
    def permissions(self) -> Permissions:
        """The same rights, ready to be asked."""
        return Permissions(self.publish, self.subscribe)

    @property
    def scopes(self) -> tuple[str, ...]:
        """The same rights as scopes of this lab.

        Raises:
            ValueError: a filter has characters that a scope cannot carry (RFC 6749 §3.3).
        """
        return (
            "mqtt.connect",
            *map(scope_for_publish, self.publish),
            *map(scope_for_subscribe, self.subscribe),
        )


def of(
    source: Any, *, publish: Iterable[str] | None = None, subscribe: Iterable[str] | None = None
) -> Rights:
    """The rights of a device.

    Args:
        source: a client id; or what has one, and rights: ``Credentials``, ``AccessToken``, ``Rights``.
        publish: topic filters in place of those of ``source``, with or without ``{client_id}`` in them;
            ``["devices/{client_id}/#"]`` for a client id alone.
        subscribe: likewise.

    Raises:
        ValueError: no usable client id, or no topic filter; the message says which.
    """
    if isinstance(source, str):
        return Rights(
            client_id=source,
            publish=_filled(DEFAULT if publish is None else publish, source),
            subscribe=_filled(DEFAULT if subscribe is None else subscribe, source),
        )
    client_id = getattr(source, "client_id", None)
    own = getattr(source, "permissions", source)  # what a token grants is no template any more
    if not isinstance(client_id, str) or not hasattr(own, "publish") or not hasattr(own, "subscribe"):
        raise ValueError("rights are those of a client id, of credentials, or of an access token")
    return Rights(
        client_id=client_id,
        publish=own.publish if publish is None else _filled(publish, client_id),
        subscribe=own.subscribe if subscribe is None else _filled(subscribe, client_id),
    )


def template(topic_filter: str, client_id: str) -> str:
    """``topic_filter`` with the client id in place of ``{client_id}``.

    The client id fills levels and never adds or widens one, so one template gives two devices two filters
    that have no topic in common beyond what the template itself leaves open.

    Raises:
        ValueError: the client id, the placeholder or the result cannot be used; the message says why.
    """
    if not isinstance(topic_filter, str):
        raise ValueError(f"{topic_filter!r:.80} is no topic filter: topics are texts")
    for found in _MEANT_AS_PLACEHOLDER.findall(topic_filter):
        if found != _PLACEHOLDER:
            raise ValueError(
                f"{found!r:.80} is no placeholder: the only one is {_PLACEHOLDER}, as it stands here"
            )
    if _PLACEHOLDER not in topic_filter:
        return topic_filter
    _check_client_id(client_id)
    if topic_filter.startswith(_PLACEHOLDER) and client_id.startswith("$"):
        # $SYS, $share and their like are the broker's own (MQTT 3.1.1 §4.7.2): a name must not open them.
        raise ValueError(f"{client_id!r} cannot begin a topic: topics that begin with $ are the broker's own")
    return topic_filter.replace(_PLACEHOLDER, client_id)


def usable_client_id(client_id: object) -> bool:
    """Whether a client id can stand in topics and scopes: 1 to 128 visible ASCII characters, without slash,
    plus, hash, quotation mark and backslash."""
    return isinstance(client_id, str) and _CLIENT_ID.fullmatch(client_id) is not None


def _check_client_id(client_id: object) -> None:
    if not usable_client_id(client_id):
        raise ValueError(
            f"{client_id!r:.80} cannot be a client id, as it becomes part of topics: use 1 to 128 visible "
            "ASCII characters, without slash, plus, hash, quotation mark and backslash"
        )


def _filled(filters: Iterable[str], client_id: str) -> tuple[str, ...]:
    if isinstance(filters, str):
        raise ValueError(f"topics come as a list: write [{filters!r:.80}]")
    return tuple(dict.fromkeys(template(each, client_id) for each in filters))
