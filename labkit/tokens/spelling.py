"""The first rows of the table: is this text a token at all?  Cheap, and without reading what it says."""

from labkit.tokens.jose import NotStrict, decode_header, is_base64url
from labkit.tokens.table import Case, Fault, Verdict, check

__all__ = ["SPELLING", "TEXT"]

_AS_RECEIVED = "Send the access token exactly as the authorization server returned it."


@check(
    "length",
    where="token",
    rule="The token is no longer than the relying party is ready to read.",
    spec="lab",
    reason="too-long",
    hint="Ask for fewer scopes, or raise max_token_bytes.",
)
def length(case: Case) -> Verdict:
    most = case.policy.max_token_bytes
    if isinstance(case.token, str | bytes) and len(case.token) > most:
        return Fault(expected=f"at most {most} bytes", actual=f"{len(case.token)}")
    return None


@check(
    "text",
    where="token",
    rule="The token is text, or bytes, of printable ASCII characters.",
    spec="RFC 6749 §A.12",
    reason="malformed",
    hint=_AS_RECEIVED,
)
def text(case: Case) -> Verdict:
    token = case.token
    if isinstance(token, bytes):
        token = token.decode("latin-1")  # every byte becomes one character, for the pattern to judge
    if not isinstance(token, str):
        return Fault(expected="text", actual=f"an object of type {type(token).__name__}")
    if not (token and token.isascii() and token.isprintable()):
        return Fault(expected="printable ASCII", actual="other characters" if token else "nothing")
    case.text = token
    return None


@check(
    "segments",
    where="token",
    rule="The token has three segments: header, payload, signature.",
    spec="RFC 7515 §7.1",
    reason="malformed",
    hint=_AS_RECEIVED,
)
def segments(case: Case) -> Verdict:
    count = case.text.count(".") + 1
    if count == 5:
        return Fault(
            actual="5 segments",
            reason="encrypted",
            hint="An encrypted token (JWE) was not agreed upon: have the authorization server sign only.",
        )
    if count != 3:
        return Fault(expected="3 segments", actual=f"{count}")
    case.segments = case.text.split(".")
    return None


@check(
    "base64url",
    where="token",
    rule="Each segment is base64url without padding, in its only spelling.",
    spec="RFC 7515 §2",
    reason="malformed",
    hint=_AS_RECEIVED,
)
def base64url(case: Case) -> Verdict:
    for name, segment in zip(("header", "payload", "signature"), case.segments, strict=True):
        if not is_base64url(segment):
            return Fault(expected="base64url", actual=f"a {name} that is not")
    return None


@check(
    "header",
    where="header",
    rule="The header is one strict JSON object in UTF-8, without duplicate names.",
    spec="RFC 7515 §5.2",
    reason="malformed",
    hint=_AS_RECEIVED,
)
def header(case: Case) -> Verdict:
    try:
        case.header = decode_header(case.segments[0])
    except NotStrict as error:
        return Fault(actual=str(error))
    return None


#: What any access token must be, opaque or not.
TEXT = (length, text)
#: What a JWT must be besides.
SPELLING = (*TEXT, segments, base64url, header)
