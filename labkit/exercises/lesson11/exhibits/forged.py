"""Letters that nobody has signed: the sender writes a header, and a validator obeys it.

T05, T06, T07, T08, T09, T34.
"""

import hmac
import json
import secrets
import sqlite3
import zlib
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import httpx

from labkit import forge
from labkit.exercises.lesson11.exhibits.exhibit import Exhibit
from labkit.exercises.lesson11.exhibits.parts import (
    Canary,
    Checks,
    by_token,
    issuer_of,
    opened,
    refused_at_the_gate,
    signed_by,
)

__all__ = ["FORGED"]


def _asks_the_header(token: str, client_id: str, issuer: forge.Issuer) -> bool:
    header, payload, data, signature = opened(token)
    if header["alg"].lower() != "none" and not signed_by(issuer.jwks["keys"][0], data, signature):
        return False
    return bool(json.loads(payload)["client_id"] == client_id)


def _knows_its_algorithm(token: str, client_id: str, issuer: forge.Issuer) -> bool:
    header, payload, data, signature = opened(token)
    if header["alg"] != issuer.algorithm or not signed_by(issuer.jwks["keys"][0], data, signature):
        return False
    return bool(json.loads(payload)["client_id"] == client_id)


def _one_key_for_all(token: str, client_id: str, issuer: forge.Issuer) -> bool:
    header, payload, data, signature = opened(token)
    pem = forge.public_spellings(issuer.key, issuer.algorithm)["PEM"]
    if header["alg"] == "HS256":
        good = hmac.compare_digest(hmac.digest(pem, data, "sha256"), signature)
    else:
        good = signed_by(issuer.jwks["keys"][0], data, signature)
    return bool(good and json.loads(payload)["client_id"] == client_id)


#: The secret of the little issuer behind T07: one for the life of the process.
_SECRET = secrets.token_hex(32)


def _first(query: str, *values: str) -> bytes | None:
    """The secret that a query finds first in the little issuer's database."""
    with closing(sqlite3.connect(":memory:")) as rows:
        rows.execute("CREATE TABLE keys (kid TEXT, secret TEXT)")
        rows.execute("INSERT INTO keys VALUES ('demo', ?)", (_SECRET,))
        row = rows.execute(query, values).fetchone()
    return None if row is None else str(row[0]).encode()


def _pastes_the_kid(token: str, client_id: str, issuer: forge.Issuer) -> bool:
    header, payload, data, signature = opened(token)
    secret = _first(f"SELECT secret FROM keys WHERE kid = '{header['kid']}'")  # noqa: S608  # the hole
    if secret is None or not hmac.compare_digest(hmac.digest(secret, data, "sha256"), signature):
        return False
    return bool(json.loads(payload)["client_id"] == client_id)


def _looks_the_kid_up(token: str, client_id: str, issuer: forge.Issuer) -> bool:
    header, payload, data, signature = opened(token)
    secret = _first("SELECT secret FROM keys WHERE kid = ?", header["kid"])
    if secret is None or not hmac.compare_digest(hmac.digest(secret, data, "sha256"), signature):
        return False
    return bool(json.loads(payload)["client_id"] == client_id)


def _follows_jku(token: str, client_id: str, issuer: forge.Issuer) -> bool:
    header, payload, data, signature = opened(token)
    jwks = httpx.get(header["jku"], trust_env=False).json() if "jku" in header else issuer.jwks
    if not any(signed_by(jwk, data, signature) for jwk in jwks["keys"]):
        return False
    return bool(json.loads(payload)["client_id"] == client_id)


def _follow(target: Any, lab: Any) -> bool:
    with Canary() as canary:
        issuer = issuer_of(lab, canary=canary.url)
        canary.document = issuer.thief_jwks
        token = forge.named("jku of the attacker").build(issuer)
        return bool(target(token, issuer.client_id, issuer)) or canary.hits > 0


def _follow_the_gate(lab: Any) -> bool:
    with Canary() as canary:
        issuer = issuer_of(lab, canary=canary.url)
        canary.document = issuer.thief_jwks
        attempts = [(each.build(issuer), issuer.client_id) for each in forge.of_threat("T08")]
        return not refused_at_the_gate(issuer, *attempts) or canary.hits > 0


def _honest(target: Any, lab: Any) -> bool:
    issuer = issuer_of(lab)
    return bool(target(issuer.token(), issuer.client_id, issuer))


def _a_word() -> bytes:
    return b"secret"


def _32_random_bytes() -> bytes:
    return secrets.token_bytes(32)


_WORDS = (b"password", b"123456", b"mqtt", b"admin", b"secret", b"changeme")


def _guess(new_secret: Any, lab: Any) -> bool:
    """With one token, try a word list; with the secret, sign as anybody."""
    issuer, secret = issuer_of(lab), new_secret()
    seen = forge.hmac_token(issuer, secret)
    data, _, last = seen.rpartition(".")
    return any(forge.base64url(hmac.digest(word, data.encode(), "sha256")) == last for word in _WORDS)


def _sign_and_check(new_secret: Any, lab: Any) -> bool:
    secret = new_secret()
    _, _, data, signature = opened(forge.hmac_token(issuer_of(lab), secret))
    return hmac.compare_digest(hmac.digest(secret, data, "sha256"), signature)


def _unpacks(token: str) -> bytes:
    header, payload, _, _ = opened(token)
    return zlib.decompress(payload, -15) if header.get("zip") == "DEF" else payload


def _takes_it_as_it_is(token: str) -> bytes:
    header, payload, _, _ = opened(token)
    if "zip" in header:
        raise ValueError("nobody here has agreed to compressed tokens")
    return payload


def _inflate(target: Any, lab: Any) -> bool:
    token = forge.named("compressed payload").build(issuer_of(lab))
    try:
        return len(target(token)) > 100 * len(token)
    except ValueError:
        return False


def _refused_at_the_gate(id: str) -> Any:
    def real(lab: Any) -> bool:
        issuer = issuer_of(lab)
        made = [each.build(issuer) for each in forge.of_threat(id)]
        return not refused_at_the_gate(issuer, *((t, issuer.client_id) for t in made if len(t) < 65_536))

    return real


FORGED: Sequence[Exhibit] = (
    by_token(
        "T05",
        "alg none",
        story='The header says "none", the signature is empty, and the validator asks the header what to do.',
        stopped_by="the algorithm comes from the validator's settings",
        naive=_asks_the_header,
        repaired=_knows_its_algorithm,
        forged="alg none",
    ),
    by_token(
        "T06",
        "the public key as a secret",
        story="The thief signs with HS256 and takes the public key, which everybody has, for the secret; the "
        "validator uses one key for both kinds of algorithm.",
        stopped_by="one key, one algorithm",
        naive=_one_key_for_all,
        repaired=_knows_its_algorithm,
        forged="HS256 with the public key (PEM)",
    ),
    by_token(
        "T07",
        "a kid with a query in it",
        story="The key id is pasted into a database query, and brings along an answer of its own: a secret "
        "that the thief has chosen.",
        stopped_by="a key id is looked up, and never becomes code, path or address",
        naive=_pastes_the_kid,
        repaired=_looks_the_kid_up,
        forged=lambda issuer: forge.hmac_token(issuer, b"known", kid="x' UNION SELECT 'known' --"),
        good=lambda issuer: forge.hmac_token(issuer, _SECRET.encode()),
    ),
    Exhibit(
        id="T08",
        name="an address in the header",
        story="The header says where to fetch the key (jku): at the thief's own server, whose key fits.",
        stopped_by="jku, x5u, jwk and x5c are not followed; keys come from the issuer's address alone",
        naive=_follows_jku,
        repaired=Checks(),
        attack=_follow,
        honest=_honest,
        real=_follow_the_gate,
    ),
    Exhibit(
        id="T09",
        name="a secret from a word list",
        story="Tokens are signed with HS256 and a word: whoever sees one token can try a list of words.",
        stopped_by="key pairs; where it must be a shared secret, 32 random bytes",
        naive=_a_word,
        repaired=_32_random_bytes,
        attack=_guess,
        honest=_sign_and_check,
        real=_refused_at_the_gate("T09"),
    ),
    Exhibit(
        id="T34",
        name="a token that unfolds",
        story="A token of two kilobytes is compressed, and takes up a megabyte of whoever unpacks it first "
        "and asks later.",
        stopped_by="a limit on the length, and no compression (check: enc, zip)",
        naive=_unpacks,
        repaired=_takes_it_as_it_is,
        attack=_inflate,
        honest=lambda target, lab: target(issuer_of(lab).token()) == issuer_of(lab).payload(),
        real=_refused_at_the_gate("T34"),
    ),
)
