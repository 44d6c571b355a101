"""AIF-MQTT: the scope of RFC 9431, for brokers that follow ACE.

An array of pairs: a topic filter, and what may be done with it.  In a JWT the array is JSON, encoded in
base64url without padding, as the one value of ``scope``.

Read in draft-ietf-ace-mqtt-tls-profile-17, the last draft before the RFC: §2.3 (the data model, the encoding
in a JWT), §3.1 (PUBLISH) and §3.3 (SUBSCRIBE: "an exact match to or a subset of" one topic filter, which is
containment).  The numbers of the sections were not compared with the RFC itself.
"""

import base64
import json
from typing import Any

from labkit.rights.grant import Rights
from labkit.rights.rendered import Action, Rendered
from labkit.topics import Permissions

__all__ = ["aif", "allows", "in_scope"]

LIMITS = (
    "RFC 9431 says nothing of shared subscriptions: what right $share/g/a needs, the broker decides.",
    "There is no right of its own for retained messages or for a will: both are published, and need pub.",
    "It is made for tokens that are bound to a key (cnf): a bearer token is outside RFC 9431.",
)


def aif(rights: Rights) -> Rendered:
    """The rights as AIF-MQTT.  Nothing is lost: topic filters mean there what they mean here."""
    permissions: dict[str, list[str]] = {}
    for name, filters in (("pub", rights.publish), ("sub", rights.subscribe)):
        for topic_filter in dict.fromkeys(filters):
            permissions.setdefault(topic_filter, []).append(name)
    document = [[topic_filter, names] for topic_filter, names in permissions.items()]
    return Rendered(
        format="AIF-MQTT (RFC 9431)",
        document=document,
        claims={"scope": in_scope(document)},
        limits=LIMITS,
        _allows=allows,
    )


def in_scope(document: Any) -> str:
    """The array as the ``scope`` claim of a JWT: base64url of its JSON, without padding."""
    data = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def allows(document: Any, action: Action, topic: str) -> bool:
    """Whether a broker lets this through, by the rule of RFC 9431: inside at least one topic filter."""
    wanted = "pub" if action == "publish" else "sub"
    filters = tuple(topic_filter for topic_filter, names in document if wanted in names)
    granted = Permissions(publish=filters, subscribe=filters)
    return {
        "publish": granted.may_publish,
        "subscribe": granted.may_subscribe,
        "receive": granted.may_receive,
    }[action](topic)
