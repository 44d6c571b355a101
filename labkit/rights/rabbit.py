"""RabbitMQ: OAuth 2.0 scopes, ``<resource server>.<permission>:<vhost>/<name>[/<routing key>]``.

RabbitMQ turns MQTT into AMQP: a topic becomes a routing key (``/`` becomes ``.``, ``+`` becomes ``*``,
``#`` stays), a subscription becomes a queue, bound to the exchange ``amq.topic``.  So rights are said in
AMQP, too: ``write`` on the exchange to publish, ``read`` on it to subscribe, each with a pattern for the
routing key; and ``configure``, ``write`` and ``read`` on the queue.  In a pattern ``*`` runs over any
characters, dots included, and everything else can be percent-encoded.

Sources: rabbitmq.com/docs/oauth2 (scope-to-permission translation, topic exchange scopes),
rabbitmq.com/docs/mqtt (topics, queues); the matching as in ``wildcard.erl`` and ``rabbit_oauth2_scope.erl``.
``tests/test_rights_rabbitmq.py`` asks a real RabbitMQ 3.10.
"""

import re
from collections.abc import Iterator
from urllib.parse import quote, unquote_plus

from labkit.rights.globs import Glob, publish_globs, subscribe_globs
from labkit.rights.grant import Rights
from labkit.rights.rendered import Action, Rendered

__all__ = ["allows", "rabbitmq"]

EXCHANGE = "amq.topic"
LIMITS = (
    "A dot is a slash: the topics a.b and a/b are one there, and who may use one may use the other.",
    "There are no shared subscriptions, and topics that begin with $ are topics like any other.",
    "A scope is checked when a client subscribes, not again when a message is delivered.",
    "The same scopes open the same exchange and queues over AMQP.",
)
_DOT = "a dot is a level there, so it would be a right to other topics, too"
_STAR = "a level that is a star is read as + there"
_START = "a wildcard at the start would take in topics that begin with $ there"
_PLUS_OUT = "+ is one level, and a star there is any number of them"
_PLUS_NARROW = "its + is said as it stands: a filter with another level in that place cannot be subscribed to"


def rabbitmq(rights: Rights, *, resource_server_id: str = "rabbitmq", vhost: str = "/") -> Rendered:
    """The rights as RabbitMQ scopes.

    Args:
        rights: of one device.
        resource_server_id: as in RabbitMQ's setting; the prefix of every scope, and an ``aud`` of the token.
        vhost: the virtual host that MQTT clients are put into.

    Raises:
        ValueError: the resource server id cannot begin a scope.
    """
    if not re.fullmatch(r"[\w.:/-]+", resource_server_id, re.ASCII):
        raise ValueError("resource_server_id is the prefix of scopes: letters, digits and . : / _ - only")
    place = _encoded(vhost)
    scopes: list[str] = []
    notes: list[str] = []
    for topic_filter in rights.publish:
        globs = publish_globs(topic_filter)
        why = _impossible(topic_filter) or ("" if globs else _PLUS_OUT)
        if why:
            notes.append(f"publish {topic_filter!r} is left out: {why}.")
            continue
        scopes += [f"{resource_server_id}.write:{place}/{EXCHANGE}/{_pattern(glob)}" for glob in globs]
    readable = []
    for topic_filter in rights.subscribe:
        if why := _impossible(topic_filter):
            notes.append(f"subscribe {topic_filter!r} is left out: {why}.")
            continue
        if "+" in topic_filter.split("/"):
            notes.append(f"subscribe {topic_filter!r} is narrower: {_PLUS_NARROW}.")
        readable += [_pattern(glob) for glob in subscribe_globs(topic_filter)]
    scopes += [f"{resource_server_id}.read:{place}/{EXCHANGE}/{pattern}" for pattern in readable]
    if (
        readable
    ):  # one queue for QoS 0, one for QoS 1 and 2; by their full names, so that they are this device's
        queues = [_encoded(f"mqtt-subscription-{rights.client_id}qos{qos}") for qos in (0, 1)]
        scopes += [
            f"{resource_server_id}.{right}:{place}/{queue}"
            for queue in queues
            for right in ("configure", "write", "read")
        ]
    scopes = list(dict.fromkeys(scopes))
    return Rendered(
        format="RabbitMQ scopes",
        document=scopes,
        claims={"scope": " ".join(scopes)},
        notes=tuple(notes),
        limits=LIMITS,
        _allows=lambda document, action, topic: allows(
            document, action, topic, resource_server_id=resource_server_id, vhost=vhost
        ),
    )


def allows(
    document: list[str],
    action: Action,
    topic: str,
    *,
    resource_server_id: str = "rabbitmq",
    vhost: str = "/",
) -> bool:
    """Whether RabbitMQ lets this through: the topic permissions on the exchange, as RabbitMQ judges them."""
    permission = "write" if action == "publish" else "read"
    routing_key = topic.replace("/", ".").replace("+", "*")
    for granted, parts in _parsed(document, resource_server_id):
        if granted == permission and len(parts) == 3:
            asked = (vhost, EXCHANGE, routing_key)
            if all(_fits(text, pattern) for text, pattern in zip(asked, parts, strict=True)):
                return True
    return False


def _impossible(topic_filter: str) -> str:
    if "." in topic_filter:
        return _DOT
    if "*" in topic_filter.split("/"):
        return _STAR
    return _START if topic_filter[0] in "+#" else ""


def _pattern(glob: Glob) -> str:
    return "*".join(_encoded(text.replace("/", ".").replace("+", "*")) for text in glob)


def _encoded(text: str) -> str:
    """Percent-encoded, so that star, plus, slash and space are no more than characters."""
    return quote(text, safe="")


def _parsed(document: list[str], resource_server_id: str) -> Iterator[tuple[str, list[str]]]:
    for scope in document:
        if scope.startswith(resource_server_id + "."):
            permission, colon, pattern = scope[len(resource_server_id) + 1 :].partition(":")
            if colon and permission in ("configure", "write", "read"):
                yield permission, pattern.split("/")


def _fits(text: str, pattern: str) -> bool:
    """``wildcard.erl``: each literal part is sought from the left, and never again further to the right."""
    first, *rest = [unquote_plus(part) for part in pattern.split("*")]
    if not text.startswith(first):
        return False
    position = len(first)
    while rest:
        if rest == [""]:
            return True
        if position == len(text):
            return False
        part = rest.pop(0)
        position = text.find(part, position) + len(part)
        if position < len(part):
            return False
    return position == len(text)
