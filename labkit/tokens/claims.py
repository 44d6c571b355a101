"""Rows of the table: what the claims must say.

They are walked only after the signature has been verified, or after the authorization server has vouched for
the token.  The order of errors is that of RFC 9200 §5.10.1.1: iss, exp, aud, scope.
"""

import re
from typing import Any

from labkit.tokens.table import Case, Check, Fault, NotAsked, Verdict, check, shown

__all__ = ["CLAIMS", "is_date"]

#: The end of the year 9999.  Later moments are mistakes: milliseconds, or a number made to overflow.
_LATEST = 253_402_300_799
#: scope-token *( SP scope-token ), RFC 6749 §3.3.
_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+(?: [\x21\x23-\x5B\x5D-\x7E]+)*")
_DATE = "a number of seconds since 1970"
_FIX_ISSUER = "The authorization server issues tokens that are not RFC 9068 access tokens."


def _fault(case: Case, name: str, expected: str) -> Fault:
    """The fault for a required claim that is missing or of the wrong JSON type."""
    if name in case.claims:
        return Fault(
            expected=expected, actual=shown(case.claims[name]), reason="malformed-claim", hint=_FIX_ISSUER
        )
    return Fault(expected=expected, actual="nothing", reason="missing-claim", hint=_FIX_ISSUER)


def is_date(value: Any) -> bool:
    """NumericDate: a JSON number, fractions allowed; no string, no true, no infinity.  Spec: RFC 7519 §2."""
    return type(value) in (int, float) and abs(value) <= _LATEST


def _named(name: str, *, rule: str, spec: str = "RFC 9068 §2.2") -> Check:
    """A row for a required claim that is a non-empty string."""

    @check(name, where="claims", claim=name, rule=rule, spec=spec, reason="malformed-claim", hint=_FIX_ISSUER)
    def row(case: Case) -> Verdict:
        value = case.claims.get(name)
        return None if isinstance(value, str) and value else _fault(case, name, "a non-empty string")

    return row


@check(
    "iss",
    where="claims",
    claim="iss",
    rule="The issuer is exactly the one that the relying party trusts.",
    spec="RFC 9068 §4",
    reason="wrong-issuer",
    hint="Compare it character by character: a trailing slash makes another issuer.",
)
def iss(case: Case) -> Verdict:
    found = case.claims.get("iss")
    if not isinstance(found, str):
        return _fault(case, "iss", "a string")
    if found != case.policy.issuer:
        return Fault(expected=shown(case.policy.issuer), actual=shown(found))
    return None


@check(
    "exp",
    where="claims",
    claim="exp",
    rule="It is earlier than the expiry; at that very second the token is dead.",
    spec="RFC 7519 §4.1.4",
    reason="expired",
    hint="Get a new token, and refresh before this happens.",
)
def exp(case: Case) -> Verdict:
    found: Any = case.claims.get("exp")
    if not is_date(found):
        return _fault(case, "exp", _DATE)
    if not case.now < found + case.policy.leeway:  # put so that a clock that tells nonsense (NaN) refuses
        return Fault(expected=f"later than {case.now:.0f}", actual=shown(found))
    return None


@check(
    "nbf",
    where="claims",
    claim="nbf",
    rule="Where there is a start of validity, it has come.",
    spec="RFC 7519 §4.1.5",
    reason="not-yet-valid",
    hint="Wait, or compare the clocks of authorization server and relying party.",
)
def nbf(case: Case) -> Verdict:
    if "nbf" not in case.claims:
        return NotAsked.NOT_ASKED
    found = case.claims["nbf"]
    if not is_date(found):
        return _fault(case, "nbf", _DATE)
    if not case.now >= found - case.policy.leeway:
        return Fault(expected=f"{case.now:.0f} or earlier", actual=shown(found))
    return None


@check(
    "iat",
    where="claims",
    claim="iat",
    rule="The token was not issued in the future.",
    spec="RFC 9068 §2.2; lab",
    reason="issued-in-future",
    hint="Compare the clocks of authorization server and relying party, or allow some leeway.",
)
def iat(case: Case) -> Verdict:
    found: Any = case.claims.get("iat")
    if not is_date(found):
        return _fault(case, "iat", _DATE)
    if not found <= case.now + case.policy.leeway:
        return Fault(expected=f"{case.now:.0f} or earlier", actual=shown(found))
    return None


@check(
    "lifetime",
    where="claims",
    claim="exp",
    rule="The token expires after it was issued.",
    spec="lab",
    reason="malformed-claim",
    hint=_FIX_ISSUER,
)
def lifetime(case: Case) -> Verdict:
    issued, expires = case.claims["iat"], case.claims["exp"]
    return None if issued < expires else Fault(expected=f"later than {shown(issued)}", actual=shown(expires))


@check(
    "aud",
    where="claims",
    claim="aud",
    rule="The token is meant for this relying party, perhaps among others.",
    spec="RFC 7519 §4.1.3",
    reason="wrong-audience",
    hint="Ask the authorization server for a token with this audience (RFC 8707: resource=…).",
)
def aud(case: Case) -> Verdict:
    found = case.claims.get("aud")
    if isinstance(found, str):
        case.audience = (found,)
    elif isinstance(found, list) and all(isinstance(each, str) for each in found):
        case.audience = tuple(found)
    else:
        return _fault(case, "aud", "a string or an array of strings")
    if case.policy.audience not in case.audience:
        return Fault(expected=shown(case.policy.audience), actual=shown(found))
    return None


sub = _named(
    "sub", rule="The subject is named, by an issuer that is trusted to know it.", spec="RFC 8725 §3.8"
)
client_id = _named("client_id", rule="The client that got the token is named.")
jti = _named("jti", rule="The token has a name of its own, so that it can be revoked and audited.")


@check(
    "scope",
    where="claims",
    claim="scope",
    rule="The scopes, where there are any, are one string of scope tokens with single spaces between them.",
    spec="RFC 8693 §4.2, RFC 6749 §3.3",
    reason="malformed-claim",
    hint="scope is one string, not an array, and other white space separates nothing.",
)
def scope(case: Case) -> Verdict:
    if "scope" not in case.claims:
        return NotAsked.NOT_ASKED
    found = case.claims["scope"]
    if found == "":  # many servers write no scopes like this
        return None
    if not isinstance(found, str) or not _SCOPE.fullmatch(found):
        return Fault(expected="scope tokens with single spaces between them", actual=shown(found))
    case.scopes = tuple(found.split(" "))
    return None


CLAIMS = (iss, exp, nbf, iat, lifetime, aud, sub, client_id, jti, scope)
