"""From what ``register`` is told to what the server keeps and what the device is given."""

import re
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from labkit.authserver.assertions import ALGORITHM
from labkit.authserver.clients import (
    DEVICE_CODE,
    Client,
    Credentials,
    check_client_id,
    fingerprint,
    new_registration,
)
from labkit.authserver.keys import new_private_key, to_pem
from labkit.authserver.refusals import MAX_LIFETIME
from labkit.authserver.scopes import for_topics
from labkit.errors import RegistrationRefused
from labkit.rights import DEFAULT, template
from labkit.tokens.thumbprint import thumbprint

__all__ = ["GRANTS", "new_client", "new_resource_server"]

#: Grant types a client can be registered for.
GRANTS = ("client_credentials", "refresh_token", "password", DEVICE_CODE)
#: Grants in a user's name: they come with a refresh token.
_BY_USER = {"password", DEVICE_CODE}

_SECRET = re.compile(r"[\x20-\x7e]{1,256}")


def new_client(
    client_id: str,
    *,
    publish: Iterable[str] | None,
    subscribe: Iterable[str] | None,
    lifetime: int,
    grants: Iterable[str],
    auth: str,
    secret: str | None,
    certificate_bound: bool = False,
    proof_key: Mapping[str, str] | None = None,
) -> tuple[Client, Credentials]:
    """A device's registration.

    Raises:
        RegistrationRefused: the message says what to change.
    """
    check_client_id(client_id)
    publish = _filled(DEFAULT if publish is None else publish, client_id)
    subscribe = _filled(DEFAULT if subscribe is None else subscribe, client_id)
    if not isinstance(lifetime, int) or isinstance(lifetime, bool) or not 1 <= lifetime <= MAX_LIFETIME:
        raise RegistrationRefused(
            f"a token of {client_id!r} cannot live {lifetime!r} seconds: choose 1 to {MAX_LIFETIME}, a whole "
            "number (RFC 6750 §5.3)"
        )
    allowed = _checked_grants(grants, auth)
    proof, credentials = _proof(auth, secret)
    client = Client(
        client_id=client_id,
        registration=new_registration(),
        auth=auth,
        grants=allowed,
        scopes=for_topics(publish, subscribe),
        lifetime=lifetime,
        guessable=secret is not None,
        certificate_bound=certificate_bound,
        key_thumbprint=None if proof_key is None else _key_thumbprint(client_id, proof_key),
        **proof,
    )
    return client, Credentials(
        client_id=client_id, publish=publish, subscribe=subscribe, lifetime=lifetime, **credentials
    )


def new_resource_server(client_id: str, audience: str) -> tuple[Client, Credentials]:
    """The registration of a resource server: it may ask about tokens for ``audience``, and gets none itself.

    Raises:
        RegistrationRefused: the message says what to change.
    """
    check_client_id(client_id)
    proof, credentials = _proof("client_secret_basic", None)
    client = Client(
        client_id=client_id,
        registration=new_registration(),
        auth="client_secret_basic",
        introspects=audience,
        **proof,
    )
    return client, Credentials(client_id=client_id, **credentials)


def _filled(filters: Iterable[str], client_id: str) -> tuple[str, ...]:
    """The filters, with the client id in place of ``{client_id}``."""
    if isinstance(filters, str):
        raise RegistrationRefused(f"topics come as a list: write [{filters!r}] instead of {filters!r}")
    try:
        return tuple(template(topic_filter, client_id) for topic_filter in filters)
    except ValueError as error:
        raise RegistrationRefused(str(error)) from None


def _key_thumbprint(client_id: str, key: Mapping[str, str]) -> str:
    """The name of a public key in tokens (RFC 7638)."""
    if not isinstance(key, Mapping) or "d" in key or key.get("kty") == "oct":
        raise RegistrationRefused(
            f"proof_key of {client_id!r} is the public key, as a JWK: the private one stays on the device"
        )
    try:
        return thumbprint(key)
    except (KeyError, TypeError):
        raise RegistrationRefused(
            f"proof_key of {client_id!r} is no public key: give a JWK of kty EC, OKP or RSA with all "
            "its members (RFC 7638 §3.2)"
        ) from None


def _checked_grants(grants: Iterable[str], auth: str) -> tuple[str, ...]:
    wanted = set(grants)
    if unknown := wanted.difference(GRANTS):
        raise RegistrationRefused(f"no such grant type: {min(unknown)!r}; choose from {', '.join(GRANTS)}")
    if auth == "none" and wanted - {DEVICE_CODE, "refresh_token"}:
        # RFC 6749 §4.4: client credentials are for clients that have some.
        raise RegistrationRefused(f"a client without credentials (auth='none') can only use {DEVICE_CODE}")
    if wanted & _BY_USER:
        wanted.add("refresh_token")
    return tuple(grant for grant in GRANTS if grant in wanted)


def _proof(auth: str, secret: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """How a client proves who it is: what the server keeps, and what the client is told."""
    if secret is not None and (auth != "client_secret_basic" or not _SECRET.fullmatch(secret)):
        raise RegistrationRefused(
            "a secret goes with client_secret_basic only, and is 1 to 256 printable ASCII characters "
            "(RFC 6749 appendix A.2)"
        )
    if auth == "client_secret_basic":
        secret = secret or secrets.token_urlsafe(32)  # one per device, never shared: RFC 6749 §10.1
        return {"secret_hash": fingerprint(secret)}, {"client_secret": secret}
    if auth == "private_key_jwt":
        key = new_private_key(ALGORITHM)
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        return {"public_key": public}, {"private_key": to_pem(key)}
    if auth == "none":
        return {}, {}
    raise RegistrationRefused(
        f"no such way to authenticate: {auth!r}; choose client_secret_basic, private_key_jwt or none"
    )
