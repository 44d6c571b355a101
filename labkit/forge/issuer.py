"""The issuer that the attacked validator trusts: it signs whatever it is told to, and no honest one would."""

import json
from typing import Any

from labkit.clock import Clock
from labkit.forge.making import MISSING, key_of, public_jwk, token
from labkit.tokens import TokenValidator

__all__ = ["Issuer"]


class Issuer:
    """An issuer with throw-away keys, and the attacker's own key beside it.

    Args:
        issuer: its identifier, the ``iss`` of its tokens.
        audience: the relying party that they are for.
        client_id: the device that the good token belongs to.
        algorithm: ``"ES256"``, ``"RS256"`` or ``"EdDSA"``.
        clock: anything with ``now()`` in Unix seconds; the system's clock when left out.
        canary: the URL of a server of yours that notes every request: where ``jku`` and ``x5u`` point to.
    """

    def __init__(
        self,
        issuer: str = "https://issuer.example",
        audience: str = "https://mqtt.lab",
        *,
        client_id: str = "thermostat-1",
        algorithm: str = "ES256",
        clock: Any = None,
        canary: str = "http://127.0.0.1:9/keys",
    ) -> None:
        self.issuer = issuer
        self.audience = audience
        self.client_id = client_id
        self.algorithm = algorithm
        self.canary = canary
        self.clock = clock or Clock()
        self.kid = "demo"
        self.key = key_of("issuer", algorithm)
        #: The key of somebody that nobody trusts, under the key id "thief".
        self.thief = key_of("thief", algorithm)

    @property
    def now(self) -> int:
        """Unix seconds."""
        return int(self.clock.now())

    @property
    def jwks(self) -> dict[str, Any]:
        """The keys that it publishes."""
        return {"keys": [public_jwk(self.key, self.algorithm, kid=self.kid)]}

    @property
    def thief_jwks(self) -> dict[str, Any]:
        """What the attacker's own server, the canary, would hand out."""
        return {"keys": [public_jwk(self.thief, self.algorithm, kid="thief")]}

    def validator(self, **settings: Any) -> TokenValidator:
        """The real validator, trusting this issuer."""
        return TokenValidator(
            self.issuer, self.audience, self.jwks, algorithms=(self.algorithm,), clock=self.clock, **settings
        )

    def claims(self, **changes: Any) -> dict[str, Any]:
        """The claims of a good token, with ``changes``; ``MISSING`` takes one out.  Spec: RFC 9068 §2.2."""
        own = f"devices/{self.client_id}/#"
        good: dict[str, Any] = {
            "iss": self.issuer,
            "sub": self.client_id,
            "aud": self.audience,
            "client_id": self.client_id,
            "iat": self.now,
            "exp": self.now + 300,
            "jti": "b7a1",
            "scope": f"mqtt.connect mqtt.publish:{own} mqtt.subscribe:{own}",
        }
        return {name: value for name, value in (good | changes).items() if value is not MISSING}

    def header(self, **changes: Any) -> dict[str, Any]:
        """The header of a good token, with ``changes``."""
        return {"typ": "at+jwt", "alg": self.algorithm, "kid": self.kid} | changes

    def token(self, header: dict[str, Any] | None = None, **changes: Any) -> str:
        """A token that the issuer has really signed: a good one, but for changes to header and claims."""
        return self.signed(self.claims(**changes), **(header or {}))

    def signed(self, claims: dict[str, Any] | bytes, **header: Any) -> str:
        """A token that the issuer has really signed, with this payload."""
        return token(claims, header=self.header(**header), key=self.key, algorithm=self.algorithm)

    def stolen_key(self, **header: Any) -> str:
        """A token with good claims, signed by the thief with his own key."""
        return token(self.claims(), header=self.header(**header), key=self.thief, algorithm=self.algorithm)

    def with_header(self, header: bytes) -> str:
        """A token whose header is exactly these bytes, properly signed."""
        return token(self.claims(), header=header, key=self.key, algorithm=self.algorithm)

    def payload(self) -> bytes:
        """The good claims as JSON, to be spoilt."""
        return json.dumps(self.claims()).encode()

    def __repr__(self) -> str:
        return f"<Issuer {self.issuer} for {self.audience}, {self.algorithm}>"
