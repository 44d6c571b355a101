"""The last rows of the table: what the claims must say, and to whom the token belongs.

They are walked only after the signature has been verified, or after the introspection endpoint has vouched.
The order of errors is that of RFC 9200 §5.10.1.1: iss, exp, aud, scope.
"""

import re
from typing import Any

from labkit.errors import NotAllowed, Undecided
from labkit.tokens.table import Case, Check, Fault, NotAsked, Verdict, check, shown

__all__ = ["BINDING", "CLAIMS", "VOUCHED", "is_date"]

#: The end of the year 9999.  Later moments are mistakes: milliseconds, or a number made to overflow.
_LATEST = 253_402_300_799
#: scope-token *( SP scope-token ), RFC 6749 §3.3.
_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+(?: [\x21\x23-\x5B\x5D-\x7E]+)*")
_DATE = "a number of seconds since 1970"
#: Confirmation methods that a connection can prove: TLS client certificate, DPoP key.
_CONFIRMATIONS = frozenset({"x5t#S256", "jkt"})
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
    if case.now >= found + case.policy.leeway:
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
    if case.now < found - case.policy.leeway:
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
    if found > case.now + case.policy.leeway:
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


@check(
    "cnf",
    where="binding",
    claim="cnf",
    rule="A token bound to a key is accepted only from a connection that has proved to hold this key.",
    spec="RFC 8705 §3, RFC 9449 §7.2, RFC 7800 §3.1",
    reason="not-the-key-holder",
    hint="A sender-constrained token is no bearer token: prove the key, or ask for a token without cnf.",
)
def cnf(case: Case) -> Verdict:
    if "cnf" not in case.claims:
        return NotAsked.NOT_ASKED
    bound = case.claims["cnf"]
    known = _CONFIRMATIONS & bound.keys() if isinstance(bound, dict) else ()
    # Several methods at once: all of them must hold.  None that we know: nothing has been proved.
    if known and all(isinstance(bound[name], str) and case.proved.get(name) == bound[name] for name in known):
        return None
    return Fault(
        expected="proof of possession", actual="a plain bearer token" if not case.proved else "another key"
    )


@check(
    "required scopes",
    where="binding",
    claim="scope",
    rule="The token has every scope that the relying party requires, letter by letter.",
    spec="RFC 6750 §3.1",
    reason="missing-scope",
    refusal=NotAllowed,
    hint="Ask the authorization server for a token with this scope.",
)
def required_scopes(case: Case) -> Verdict:
    required = case.policy.required_scopes
    if not required:
        return NotAsked.NOT_ASKED
    missing = [name for name in required if name not in case.scopes]
    return Fault(expected=" ".join(missing), actual=shown(" ".join(case.scopes))) if missing else None


@check(
    "client binding",
    where="binding",
    claim="client_id",
    rule="The client identifier of the connection is exactly the client_id of the token.",
    spec="lab",
    reason="wrong-client",
    refusal=NotAllowed,
    hint="Connect with the client identifier that the token was issued to.",
)
def client_binding(case: Case) -> Verdict:
    if case.client_id is None:
        return NotAsked.NOT_ASKED
    # Code point by code point: no normalisation, no case folding (RFC 7519 §7.3).
    if case.client_id != case.claims["client_id"]:
        return Fault(expected=shown(case.claims["client_id"]), actual=shown(case.client_id))
    return None


@check(
    "active",
    where="claims",
    claim="active",
    rule="The authorization server says that the token is active: JSON true, and nothing that looks like it.",
    spec="RFC 7662 §2.2",
    reason="inactive",
    hint="It has expired, was revoked, or was never issued: get a new token.",
)
def active(case: Case) -> Verdict:
    if case.policy.ask is None:
        raise Undecided("introspection-unavailable", hint="No introspection endpoint was configured.")
    case.claims = case.policy.ask(case.text)
    found = case.claims.get("active")
    return None if found is True else Fault(expected="true", actual=shown(found))


@check(
    "token_type",
    where="claims",
    claim="token_type",
    rule="The token, where its type is told, is a bearer token.",
    spec="RFC 7662 §2.2, RFC 6749 §7.1",
    reason="wrong-type",
    hint="A token of another type needs a proof that plain MQTT does not carry.",
)
def token_type(case: Case) -> Verdict:
    if "token_type" not in case.claims:
        return NotAsked.NOT_ASKED
    found = case.claims["token_type"]
    if isinstance(found, str) and found.isascii() and found.lower() == "bearer":
        return None
    return Fault(expected="Bearer", actual=shown(found))


#: What the authorization server answers, in place of header and signature.
VOUCHED = (active, token_type)
CLAIMS = (iss, exp, nbf, iat, lifetime, aud, sub, client_id, jti, scope)
BINDING = (cnf, required_scopes, client_binding)
