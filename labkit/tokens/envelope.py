"""Rows of the table: header, key and signature.

All of them come before any claim is read: until the signature is verified, the payload is text that anybody
can have written.
"""

from labkit.errors import Undecided
from labkit.tokens.jose import NotStrict, decode_base64url, decode_object
from labkit.tokens.keys import is_usable_kid
from labkit.tokens.policy import media_type
from labkit.tokens.table import Case, Fault, NotAsked, Verdict, check, shown

__all__ = ["ENVELOPE"]

_NOT_OURS = "This is no access token of the trusted authorization server: get one there."


@check(
    "crit",
    where="header",
    claim="crit",
    rule="No header parameter is marked critical: none is understood here beyond the standard ones.",
    spec="RFC 7515 §4.1.11",
    reason="critical-header",
    hint="The token asks for an extension that is not supported.",
)
def crit(case: Case) -> Verdict:
    return Fault(actual=shown(case.header["crit"])) if "crit" in case.header else None


@check(
    "b64",
    where="header",
    claim="b64",
    rule="The payload is base64url-encoded: a JWT never says otherwise.",
    spec="RFC 7797 §7",
    reason="malformed",
    hint=_NOT_OURS,
)
def b64(case: Case) -> Verdict:
    # true says what is the case anyway; without crit it is one more parameter to be ignored (RFC 7515 §4).
    return Fault(actual=shown(case.header["b64"])) if case.header.get("b64", True) is not True else None


@check(
    "enc, zip",
    where="header",
    rule="The token is neither encrypted nor compressed.",
    spec="lab, RFC 8725 §3.6",
    reason="encrypted",
    hint="Encryption and compression were not agreed upon: have the authorization server sign only.",
)
def neither_encrypted_nor_compressed(case: Case) -> Verdict:
    for name in ("enc", "zip"):
        if name in case.header:
            return Fault(actual=f'"{name}"')
    return None


@check(
    "alg",
    where="header",
    claim="alg",
    rule="The algorithm is one that the relying party was configured for; never none.",
    spec="RFC 8725 §3.1",
    reason="wrong-algorithm",
    hint="The allow-list is configuration: a token does not choose how it is checked.",
)
def alg(case: Case) -> Verdict:
    found = case.header.get("alg")
    if not isinstance(found, str) or found not in case.policy.algorithms:
        return Fault(expected=" or ".join(case.policy.algorithms), actual=_header_value(case, "alg"))
    return None


@check(
    "typ",
    where="header",
    claim="typ",
    rule="The token says that it is an access token, and no other kind of JWT.",
    spec="RFC 9068 §4",
    reason="wrong-type",
    hint="ID tokens, client assertions and proofs are not access tokens.",
)
def typ(case: Case) -> Verdict:
    found = case.header.get("typ")
    if isinstance(found, str) and found.isascii() and media_type(found) in case.policy.token_types:
        return None
    wanted = sorted(name.removeprefix("application/") for name in case.policy.token_types)
    return Fault(expected=" or ".join(wanted), actual=_header_value(case, "typ"))


@check(
    "cty",
    where="header",
    claim="cty",
    rule="The payload is the claims, and not another JWT.",
    spec="RFC 7519 §7.2",
    reason="malformed",
    hint="Nested tokens were not agreed upon: have the authorization server sign the claims themselves.",
)
def cty(case: Case) -> Verdict:
    found = case.header.get("cty")
    if isinstance(found, str) and media_type(found) == "application/jwt":  # step 8: then it must be one
        return Fault(expected="no nested token", actual=shown(found))
    return None


@check(
    "kid",
    where="header",
    claim="kid",
    rule="The key id, where there is one, is a short string without control characters.",
    spec="RFC 8725 §3.10",
    reason="malformed",
    hint=_NOT_OURS,
)
def kid(case: Case) -> Verdict:
    if "kid" not in case.header:
        return NotAsked.NOT_ASKED
    found = case.header["kid"]
    return None if is_usable_kid(found) else Fault(actual=shown(found))


@check(
    "key",
    where="header",
    claim="kid",
    rule="The issuer has that key, for exactly this algorithm; jku, x5u, jwk and x5c are not followed.",
    spec="RFC 8725 §3.1, §3.8, §3.10",
    reason="wrong-algorithm",
    hint=_NOT_OURS,
)
def key(case: Case) -> Verdict:
    wanted = case.header["alg"]
    if case.policy.keys is None:
        raise Undecided("keys-unavailable", hint="No key source was configured.")
    case.key = case.policy.keys.find(case.header.get("kid"), wanted)
    if case.key.algorithm != wanted:
        return Fault(expected=f"{case.key.algorithm}, the one algorithm of this key", actual=shown(wanted))
    return None


@check(
    "signature",
    where="signature",
    rule="The signature over the received bytes was made with that key.",
    spec="RFC 7515 §5.2",
    reason="forged",
    hint="Somebody has changed or made up this token: get one from the authorization server.",
)
def signature(case: Case) -> Verdict:
    signing_input, _, encoded = case.text.rpartition(".")
    if case.key is None or not case.key.verify(signing_input.encode("ascii"), decode_base64url(encoded)):
        return Fault(expected="a signature by the issuer", actual="none that fits" if encoded else "nothing")
    return None


@check(
    "claims",
    where="claims",
    rule="The payload is one strict JSON object in UTF-8, without duplicate names.",
    spec="RFC 7519 §7.2",
    reason="malformed",
    hint="The authorization server has signed something that is no claims set.",
)
def claims(case: Case) -> Verdict:
    try:
        case.claims = decode_object(decode_base64url(case.segments[1]))
    except NotStrict as error:
        return Fault(actual=str(error))
    return None


def _header_value(case: Case, name: str) -> str:
    return shown(case.header[name]) if name in case.header else "nothing"


ENVELOPE = (crit, b64, neither_encrypted_nor_compressed, alg, typ, cty, kid, key, signature, claims)
