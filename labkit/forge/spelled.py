"""Attacks through the spelling: huge and deep tokens, and tokens that two readers read differently.

Threats T09, T33, T34, T42 and T43.
"""

import json
import zlib
from collections.abc import Iterator
from typing import Any

from labkit.forge.attack import Attack, Builder, attack
from labkit.forge.headers import hmac_token
from labkit.forge.issuer import Issuer
from labkit.forge.making import base64url

__all__ = ["SPELLED", "high_s", "other_last_character"]

#: The order of the curve P-256 (SEC 2 §2.4.2).
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_NESTED = b'{"x":' + b"[" * 5000 + b"]" * 5000 + b","


@attack(
    "T09",
    "HMAC with a secret from a word list",
    story="An issuer signs with HS256 and the secret 'secret': one token is enough to try a whole word list.",
    needs="a token",
    stopped_by="alg",
    spec="RFC 8725 §3.5",
)
def weak_secret(issuer: Issuer) -> str:
    return hmac_token(issuer, b"secret")


def _nested_header(issuer: Issuer) -> str:
    return issuer.with_header(_NESTED + json.dumps(issuer.header()).encode()[1:])


def _many_digits(issuer: Issuer) -> str:
    rest = {name: value for name, value in issuer.claims().items() if name != "exp"}
    return issuer.signed(b'{"exp":' + b"9" * 6000 + b"," + json.dumps(rest).encode()[1:])


def _compressed(issuer: Issuer) -> str:
    payload = issuer.payload()[:-1] + b" " * 1_000_000 + b"}"
    return issuer.signed(zlib.compress(payload, 9)[2:-4], zip="DEF")  # the bare DEFLATE stream


def _costly() -> Iterator[Attack]:
    cases: dict[str, tuple[str, str, str, str, Builder]] = {
        "a million characters": ("T34", "nothing", "length", "lab", lambda _: "a" * 1_000_000),
        "a thousand segments": ("T34", "nothing", "segments", "RFC 7515 §7.1", lambda _: "." * 1000),
        "header nested 5000 deep": ("T34", "nothing", "header", "RFC 8259 §9", _nested_header),
        "compressed payload": ("T34", "nothing", "enc, zip", "RFC 8725 §3.6", _compressed),
        "huge claim": ("T33", "the issuer", "length", "lab", lambda issuer: issuer.token(x="x" * 20_000)),
        "claims nested 5000 deep": (
            "T34",
            "the issuer",
            "claims",
            "RFC 8259 §9",
            lambda issuer: issuer.signed(_NESTED + issuer.payload()[1:]),
        ),
        "exp of 6000 digits": ("T34", "the issuer", "exp", "lab", _many_digits),
    }
    for name, (threat, needs, stopped_by, spec, build) in cases.items():
        yield Attack(
            id=threat,
            name=name,
            story="The token costs more to read than to make: memory, recursion or time of whoever reads it.",
            needs=needs,
            build=build,
            stopped_by=stopped_by,
            spec=spec,
        )


def _ambiguous_claims() -> Iterator[Attack]:
    """Payloads that the issuer has signed, and that are no strict JSON."""

    def beginning(start: bytes) -> Builder:
        return lambda issuer: issuer.signed(start + issuer.payload()[1:])

    def encoded(encoding: str) -> Builder:
        return lambda issuer: issuer.signed(issuer.payload().decode().encode(encoding))

    cases: dict[str, Builder] = {
        "client_id twice": beginning(b'{"client_id":"mallory",'),
        "client_id twice, once in escapes": beginning(b'{"client\\u005fid":"mallory",'),
        "payload in UTF-16": encoded("utf-16-le"),
        "payload in UTF-32": encoded("utf-32"),
        "payload with a byte order mark": encoded("utf-8-sig"),
        "payload with half a surrogate pair": beginning(b'{"x":"\\ud800",'),
        "payload with overlong UTF-8": beginning(b'{"x":"\xc0\xae",'),
        "payload with NaN": beginning(b'{"x":NaN,'),
        "two objects in the payload": lambda issuer: issuer.signed(issuer.payload() * 2),
        "payload that is an array": lambda issuer: issuer.signed(b"[" + issuer.payload() + b"]"),
    }
    for name, build in cases.items():
        yield Attack(
            id="T42",
            name=name,
            story="Two programs read two things out of one payload: one checks this, one uses that.",
            needs="the issuer",
            build=build,
            stopped_by="claims",
            spec="RFC 7519 §7.2, RFC 8725 §3.7",
        )


@attack(
    "T42",
    "alg twice in the header",
    story="The header says none and then the good algorithm, so that one reader sees this and another that.",
    needs="nothing",
    stopped_by="header",
    spec="RFC 7515 §4",
)
def alg_twice(issuer: Issuer) -> str:
    return issuer.with_header(b'{"alg":"none",' + json.dumps(issuer.header()).encode()[1:])


def _extensions() -> Iterator[Attack]:
    def nested(issuer: Issuer) -> str:
        return issuer.signed(issuer.token().encode(), cty="JWT")

    def with_header(**parameters: Any) -> Builder:
        return lambda issuer: issuer.token(parameters)

    cases: dict[str, tuple[str, str, Builder]] = {
        "nested token": ("cty", "RFC 7519 §7.2", nested),
        "unknown critical extension": ("crit", "RFC 7515 §4.1.11", with_header(crit=["x"], x=1)),
        "payload that is not encoded": ("b64", "RFC 7797 §7", with_header(b64=False)),
        "encrypted token": ("segments", "RFC 7515 §7.1", lambda issuer: issuer.token() + ".a.b"),
        "JSON serialisation": ("segments", "RFC 7515 §7.1", _as_json),
    }
    for name, (stopped_by, spec, build) in cases.items():
        yield Attack(
            id="T42",
            name=name,
            story="A form of token that was not agreed upon: who understands half of it checks half of it.",
            needs="nothing",
            build=build,
            stopped_by=stopped_by,
            spec=spec,
        )


def _as_json(issuer: Issuer) -> str:
    protected, payload, signature = issuer.token().split(".")
    return json.dumps({"payload": payload, "protected": protected, "signature": signature})


def other_last_character(good: str) -> str:
    """The same bytes in another spelling: the last character has bits to spare, and they need not be zero."""
    return good[:-1] + _ALPHABET[_ALPHABET.index(good[-1]) + 1]


def high_s(good: str) -> str:
    """The same token with the other signature that fits: n - s in place of s (P-256)."""
    signing_input, _, last = good.rpartition(".")
    raw = _decoded(last)
    s = _ORDER - int.from_bytes(raw[32:], "big")
    return f"{signing_input}.{base64url(raw[:32] + s.to_bytes(32, 'big'))}"


def _decoded(text: str) -> bytes:
    number = 0
    for letter in text:
        number = number << 6 | _ALPHABET.index(letter)
    spare = len(text) * 6 % 8
    return (number >> spare).to_bytes(len(text) * 6 // 8, "big")


def _respelled() -> Iterator[Attack]:
    cases: dict[str, tuple[str, Builder]] = {
        "padding after the signature": ("base64url", lambda issuer: issuer.token() + "="),
        "other last character": ("base64url", lambda issuer: other_last_character(issuer.token())),
        "space inside": ("base64url", lambda issuer: issuer.token().replace(".", ". ", 1)),
        "line end after it": ("text", lambda issuer: issuer.token() + "\n"),
        "no-break space after it": ("text", lambda issuer: issuer.token() + "\u00a0"),
        "Bearer in front": ("base64url", lambda issuer: "Bearer " + issuer.token()),
    }
    for name, (stopped_by, build) in cases.items():
        yield Attack(
            id="T43",
            name=name,
            story="A revoked token is spelled otherwise, for a list of revoked tokens that compares text.",
            needs="a token",
            build=build,
            stopped_by=stopped_by,
            spec="RFC 7515 §2" if stopped_by == "base64url" else "RFC 6749 §A.12",
        )


@attack(
    "T43",
    "the other signature that fits",
    story="ECDSA has two signatures for one: it is the same good token, and a list of revoked tokens has to "
    "know it by its jti.",
    needs="a token",
    stopped_by=None,
    spec="RFC 7518 §3.4",
    algorithms=("ES256",),
)
def other_signature(issuer: Issuer) -> str:
    return high_s(issuer.token())


SPELLED: tuple[Attack, ...] = (
    weak_secret, *_costly(), *_ambiguous_claims(), alg_twice, *_extensions(), *_respelled(), other_signature,
)  # fmt: skip
