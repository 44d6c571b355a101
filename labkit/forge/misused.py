"""Attacks with tokens that an issuer has really signed: for something or somebody else, or for another time.

Threats T01 to T04, T10, T28 to T30.
"""

import json
from collections.abc import Iterator
from typing import Any

from labkit.forge.attack import Attack, attack
from labkit.forge.issuer import Issuer
from labkit.forge.making import MISSING, base64url

__all__ = ["MISUSED"]


@attack(
    "T01",
    "stolen token",
    story="A good token of one device, used under the name of another.",
    needs="a token",
    stopped_by="client binding",
    spec="lab",
    connects_as="mallory",
)
def stolen(issuer: Issuer) -> str:
    return issuer.token()


@attack(
    "T02",
    "bound token without its key",
    story="A stolen token that is bound to a key, sent as if it were a bearer token.",
    needs="a token",
    stopped_by="cnf",
    spec="RFC 9449 §7.2",
)
def bound(issuer: Issuer) -> str:
    return issuer.token(cnf={"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"})


def _elsewhere() -> Iterator[Attack]:
    cases: dict[str, tuple[str, str, Any]] = {
        "audience of another service": ("aud", "was meant for another service of the same issuer", "https://api.example"),
        "audience that begins like ours": ("aud", "is compared only at the start of the name", "{}.example"),
        "two audiences in one string": ("aud", "is looked for as a part of a text", "https://api.example {}"),
        "list of other audiences": ("aud", "has a list, and any list will do", ["https://api.example", "https://b.example"]),
        "no audience": ("aud", "names nobody, and so is for everybody", MISSING),
        "issuer with a slash more": ("iss", "comes from an issuer of nearly the same name", "{}/"),
        "another issuer": ("iss", "is signed with a key that two issuers share", "https://other.example"),
        "no issuer": ("iss", "says nothing of its issuer", MISSING),
    }  # fmt: skip
    for name, (claim, why, value) in cases.items():

        def build(issuer: Issuer, claim: str = claim, value: Any = value) -> str:
            ours = issuer.audience if claim == "aud" else issuer.issuer
            changes: dict[str, Any] = {claim: value.format(ours) if isinstance(value, str) else value}
            return issuer.token(**changes)

        yield Attack(
            id="T03" if claim == "aud" else "T41",
            name=name,
            story=f"A properly signed token that {why}.",
            needs="the issuer",
            build=build,
            stopped_by=claim,
            spec="RFC 9068 §4",
        )


def _other_kinds() -> Iterator[Attack]:
    def id_token(issuer: Issuer) -> dict[str, Any]:
        return issuer.claims(nonce="n-0S6", azp=issuer.client_id)

    def assertion(issuer: Issuer) -> dict[str, Any]:
        return issuer.claims(iss=issuer.client_id, aud=issuer.issuer, scope=MISSING)

    def proof(issuer: Issuer) -> dict[str, Any]:
        return {"jti": "b7a1", "htm": "POST", "htu": f"{issuer.issuer}/oauth2/token", "iat": issuer.now}

    def introspection(issuer: Issuer) -> dict[str, Any]:
        return issuer.claims(token_introspection={"active": True, "client_id": issuer.client_id})

    kinds = {
        "ID token": ("JWT", id_token),
        "client assertion": ("client-authentication+jwt", assertion),
        "DPoP proof": ("dpop+jwt", proof),
        "introspection answer": ("token-introspection+jwt", introspection),
        "JWT of no kind": (MISSING, id_token),
    }
    for name, (typ, payload) in kinds.items():

        def build(issuer: Issuer, typ: Any = typ, payload: Any = payload) -> str:
            return issuer.signed(payload(issuer), typ=typ)

        yield Attack(
            id="T04",
            name=f"{name} as access token",
            story=f"A signed {name}, made for another purpose, is presented to the broker.",
            needs="the issuer",
            build=build,
            stopped_by="typ",
            spec="RFC 8725 §3.11",
        )


def _times() -> Iterator[Attack]:
    cases: dict[str, tuple[str, str, Any]] = {
        "expired at this second": ("exp", "RFC 7519 §4.1.4", 0),
        "expired long ago": ("exp", "RFC 7519 §4.1.4", -86_400),
        "no exp": ("exp", "RFC 9068 §2.2", MISSING),
        "exp as text": ("exp", "RFC 7519 §2", "9999999999"),
        "exp is true": ("exp", "RFC 7519 §2", True),
        "exp in milliseconds": ("exp", "lab", 10**13),
        "exp beyond every number": ("exp", "lab", 10**30),
        "not valid yet": ("nbf", "RFC 7519 §4.1.5", 60),
        "issued in the future": ("iat", "RFC 9068 §2.2; lab", 60),
        "no iat": ("iat", "RFC 9068 §2.2", MISSING),
    }
    for name, (claim, spec, value) in cases.items():

        def build(issuer: Issuer, claim: str = claim, value: Any = value) -> str:
            near = type(value) is int and abs(value) < 10**6
            return issuer.token(**{claim: issuer.now + value if near else value})

        yield Attack(
            id="T10",
            name=name,
            story="A properly signed token is used outside its time, or has a time that is none.",
            needs="the issuer" if claim != "exp" or type(value) is not int or value > 0 else "a token",
            build=build,
            stopped_by=claim,
            spec=spec,
        )


@attack(
    "T28",
    "client identifier as a wildcard",
    story="The client connects as #, for a broker that writes it into devices/%c/# (CVE-2017-7650).",
    needs="a token",
    stopped_by="client binding",
    spec="lab",
    connects_as="#",
)
def wildcard(issuer: Issuer) -> str:
    return issuer.token()


@attack(
    "T28",
    "client identifier with a slash",
    story="The client connects under a name with another device's name in it, to end up in its topics.",
    needs="a token",
    stopped_by="client binding",
    spec="lab",
    connects_as="thermostat-1/../thermostat-2",
)
def slashed(issuer: Issuer) -> str:
    return issuer.token()


@attack(
    "T29",
    "scope written into a good token",
    story="The holder of a token adds scopes to it, and leaves the signature as it is.",
    needs="a token",
    stopped_by="signature",
    spec="RFC 7515 §5.2",
)
def escalated(issuer: Issuer) -> str:
    header, _, signature = issuer.token().split(".")
    more = issuer.claims(scope="mqtt.connect mqtt.publish:# mqtt.subscribe:#")
    return f"{header}.{base64url(json.dumps(more).encode())}.{signature}"


@attack(
    "T29",
    "claims from one token, signature from another",
    story="Two good tokens of one device are put together into a third that nobody has issued.",
    needs="a token",
    stopped_by="signature",
    spec="RFC 7515 §5.2",
)
def mixed(issuer: Issuer) -> str:
    first, second = issuer.token(), issuer.token(scope="mqtt.connect mqtt.publish:a", jti="b7a2")
    return f"{first.rpartition('.')[0]}.{second.rpartition('.')[2]}"


def _scopes() -> Iterator[Attack]:
    cases: dict[str, tuple[Any, str]] = {
        "scope as a list": (["mqtt.connect"], "scope"),
        "scope as an object": ({"mqtt.connect": True}, "scope"),
        "scopes with a no-break space": ("mqtt.connect\u00a0mqtt.publish:#", "scope"),
        "scopes with a tab": ("mqtt.connect\tmqtt.publish:#", "scope"),
        "scope with a line end": ("mqtt.connect\n", "scope"),
        "scope that contains the word": ("xmqtt.connect mqtt.connected", "required scopes"),
        "scope in capitals": ("MQTT.CONNECT", "required scopes"),
        "empty scope": ("", "required scopes"),
        "no scope": (MISSING, "required scopes"),
    }
    for name, (scope, stopped_by) in cases.items():

        def build(issuer: Issuer, scope: Any = scope) -> str:
            return issuer.token(scope=scope)

        yield Attack(
            id="T30",
            name=name,
            story="The right scope is not there, and something is that a careless reader takes for it.",
            needs="the issuer",
            build=build,
            stopped_by=stopped_by,
            spec="RFC 6749 §3.3" if stopped_by == "scope" else "RFC 6750 §3.1",
        )


MISUSED: tuple[Attack, ...] = (
    stolen, bound, *_elsewhere(), *_other_kinds(), *_times(), wildcard, slashed, escalated, mixed, *_scopes(),
)  # fmt: skip
