"""Who gets in: from a CONNECT to a verdict, before anything of the broker is touched.

The order is the point.  Version, client identifier, carrier, token (which binds the client identifier), will:
each can say no, and until all have said yes, no session, subscription, will or retained message has been
looked at.
"""

import base64
import binascii
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, cast

from labkit.broker.methods import METHODS
from labkit.broker.reasons import Carrier, Refused, refused
from labkit.errors import TokenRejected
from labkit.tokens import AccessToken
from labkit.topics import Permissions, valid_topic
from labkit.wire import Connect, Will, v5
from labkit.wire.v5 import Property

__all__ = ["Admitted", "AnyConnect", "Presented", "Validator", "decide", "examine", "proofs"]

#: A CONNECT of either version.
AnyConnect = Connect | v5.Connect

#: What may end with the first segment of a JWS, within other text such as ``Bearer eyJ…``.  It starts where
#: its characters do: to start at each ``eyJ`` would take the square of the time.
_SEGMENT = re.compile(rb"(?<![\w-])[\w-]{11,}(?=\.[\w-]+\.)")


class Validator(Protocol):
    """What the gate asks about tokens: a TokenValidator, an IntrospectionClient, or your own."""

    def validate(self, token: str, *, client_id: str | None = None) -> AccessToken:
        """The facts in a good token; raises :class:`TokenRejected` for a bad one."""
        ...

    def ready_for(self, token: str) -> bool:
        """Whether ``validate`` can answer at once, without the network."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """Yes: what stays known of the CONNECT and its token.

    The token's text does not, unless the broker has to ask about it again: then :attr:`ask_again` holds it.
    """

    client_id: str
    clean_session: bool
    keep_alive: int
    will: Will | v5.Will | None
    token: AccessToken
    permissions: Permissions
    carrier: Carrier
    session_expiry: float = 0.0  # seconds that the session outlives its connection
    ask_again: Callable[[], AccessToken] | None = field(default=None, repr=False, compare=False)


class Presented:
    """A CONNECT that may be asked about: its token, and where it was found.

    ``certificate`` is the thumbprint of the client certificate that came with TLS, ``key`` that of a key
    which the client has proven to hold (RFC 8705 §3.1, RFC 7638).
    """

    __slots__ = ("carrier", "certificate", "connect", "key", "token")

    def __init__(
        self,
        connect: AnyConnect,
        token: str,
        carrier: Carrier,
        *,
        certificate: str | None = None,
        key: str | None = None,
    ) -> None:
        self.connect = connect
        self.token = token
        self.carrier = carrier
        self.certificate = certificate
        self.key = key


def examine(connect: AnyConnect, bearer: str | None = None) -> Presented | Refused:
    """Everything that can be said without the token; ``bearer`` is one that came before CONNECT.

    Where CONNECT asks for enhanced authentication, the token is empty: it is still to come.
    """
    if isinstance(connect, Connect) and connect.protocol_level != 4:
        return refused("version")  # [MQTT-3.1.2-2]
    # An empty identifier asks the server to make one up (§3.1.3.1), but a token is bound to one: so none.
    # With / + # it could not be put into a topic filter, and control characters have no business in a log.
    if not connect.client_id:
        return refused("client-id-empty")
    if any(c in "/+#" or c < " " or "\x7f" <= c < "\xa0" for c in connect.client_id):
        return refused("client-id-characters")
    method = (
        connect.properties.get(Property.AUTHENTICATION_METHOD) if isinstance(connect, v5.Connect) else None
    )
    enhanced = method is not None
    if enhanced and method not in METHODS:
        return refused("method", "enhanced")  # [MQTT-4.12.0-1], whatever else is there
    if bearer is None and not enhanced:
        return _carried(connect)
    # The token has another way.  A user name is a label then; a token in a field would be the second.
    if connect.password or _is_jwt((connect.username or "").encode()) or (enhanced and bearer is not None):
        return refused("ambiguous")
    return Presented(connect, "", "enhanced") if bearer is None else Presented(connect, bearer, "header")


def proofs(presented: Presented) -> dict[str, Any]:
    """What to tell a validator about proofs of possession: nothing, where there are none."""
    certificate, key = presented.certificate, presented.key
    if certificate is None and key is None:
        return {}
    named = {"x5t#S256": certificate, "jkt": key}
    return {"proved": {name: value for name, value in named.items() if value is not None}}


def decide(presented: Presented, validator: Validator) -> Admitted | Refused:
    """Ask the validator, then check what the token allows.  May wait for the network; never raises."""
    connect, carrier = presented.connect, presented.carrier
    try:
        facts: dict[str, Any] = {"client_id": connect.client_id, **proofs(presented)}
        token = validator.validate(presented.token, **facts)
        permissions = token.permissions
    except TokenRejected as refusal:
        return Refused(
            return_code=refusal.return_code,
            reason_code=refusal.reason_code,
            reason=refusal.reason,
            carrier=carrier,
            hint=_sayable(refusal.hint, presented.token),
        )
    except BaseException:  # a fault, even a panic in compiled code: the door stays shut
        return refused("validator-failed", carrier)
    if token.client_id != connect.client_id:  # the validator has said so; here it costs nothing to be sure
        return refused("client-id", carrier)
    if connect.will is not None and not _may_will(connect.will, permissions):
        return refused("will-topic", carrier)
    recheck = getattr(validator, "recheck", None)  # see recheck.Repeating
    return Admitted(
        client_id=connect.client_id,
        clean_session=connect.clean_start if isinstance(connect, v5.Connect) else connect.clean_session,
        keep_alive=connect.keep_alive,
        will=connect.will,
        token=token,
        permissions=permissions,
        carrier=carrier,
        session_expiry=_expiry(connect),
        ask_again=recheck and partial(recheck, presented.token, **facts),
    )


def _expiry(connect: AnyConnect) -> float:
    """How long the session outlives the connection, in seconds.  Spec: MQTT 5 §3.1.2.11.2."""
    if isinstance(connect, Connect):
        return 0.0 if connect.clean_session else math.inf
    seconds = cast("int", connect.properties.get(Property.SESSION_EXPIRY_INTERVAL, 0))
    return math.inf if seconds == 0xFFFF_FFFF else float(seconds)


def _sayable(hint: object, token: str) -> str:
    """A hint that may go into a packet, whoever wrote it."""
    fit = isinstance(hint, str) and hint.isprintable() and token not in hint
    return cast("str", hint)[:300] if fit else ""


def _may_will(will: Will | v5.Will, permissions: Permissions) -> bool:
    return valid_topic(will.topic) and not will.topic.startswith("$") and permissions.may_publish(will.topic)


def _carried(connect: AnyConnect) -> Presented | Refused:
    """Find the one token of a CONNECT.

    A JWT is one wherever it stands; next to it, the other field is a label or a placeholder.  Without a JWT
    there may be an opaque token, which looks like nothing: the password, or the user name when there is no
    password.

    Spec: RFC 6750 §2 (one token, one way of sending it).
    """
    username, password = connect.username or "", connect.password or b""
    in_username, in_password = _is_jwt(username.encode()), _is_jwt(password)
    if in_username and in_password:
        return refused("ambiguous")
    if in_username or not password:
        if not username:
            return refused("no-token")
        return Presented(connect, username, "username")
    try:
        return Presented(connect, password.decode("ascii"), "password")
    except UnicodeDecodeError:  # no token of any kind has such characters: RFC 6749 §A.12
        return refused("malformed", "password")


def _is_jwt(field: bytes) -> bool:
    """Whether this is meant to be a JWT, however broken: its first segment starts a JSON object."""
    if field.startswith(b"eyJ"):  # {" in base64url
        return True
    if any(b"eyJ" in segment[:-8] for segment in _SEGMENT.findall(field)):
        return True
    if field.count(b".") not in (2, 4):  # a JWS has three segments, a JWE five
        return False
    first = field.partition(b".")[0][:8]
    try:
        start = base64.urlsafe_b64decode(first + b"=" * (-len(first) % 4))
    except (binascii.Error, ValueError):
        return False
    return start.lstrip(b" \t\r\n").startswith(b"{")
