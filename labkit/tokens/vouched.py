"""Rows of the table for what the authorization server says about a token when it is asked.

For an opaque token its answer takes the place of header, signature and claims.  A JWT has spoken for itself
before, and the answer must not contradict it.
"""

import hashlib
from typing import Any

from labkit.errors import Undecided
from labkit.tokens.claims import is_date
from labkit.tokens.table import Case, Fault, NotAsked, Verdict, check, shown

__all__ = ["AGREEMENT", "VOUCHED", "token_hash"]


def token_hash(token: str) -> bytes:
    """SHA-256 of a token: a name for it from which nobody can get the token."""
    return hashlib.sha256(token.encode("ascii")).digest()


@check(
    "active",
    where="answer",
    claim="active",
    rule="The authorization server says that the token is active: JSON true, and nothing that looks like it.",
    spec="RFC 7662 §2.2",
    reason="inactive",
    hint="It has expired, was revoked, or was never issued: get a new token.",
)
def active(case: Case) -> Verdict:
    if case.policy.ask is None:
        raise Undecided("introspection-unavailable", hint="No introspection endpoint was configured.")
    answer = case.policy.ask(case.text)
    case.answer, case.asked_at = answer.claims, answer.asked_at
    if not case.claims:  # an opaque token: the rows below judge what is said about it
        made_up = f"sha256:{token_hash(case.text).hex()[:32]}"  # opaque tokens often have no jti
        case.claims = {"jti": made_up} | answer.claims
    found = case.answer.get("active")
    return None if found is True else Fault(expected="true", actual=shown(found))


@check(
    "token_type",
    where="answer",
    claim="token_type",
    rule="The token, where its type is told, is a bearer token.",
    spec="RFC 7662 §2.2, RFC 6749 §7.1",
    reason="wrong-type",
    hint="A token of another type needs a proof that plain MQTT does not carry.",
)
def token_type(case: Case) -> Verdict:
    if "token_type" not in case.answer:
        return NotAsked.NOT_ASKED
    found = case.answer["token_type"]
    if isinstance(found, str) and found.isascii() and found.lower() == "bearer":
        return None
    return Fault(expected="Bearer", actual=shown(found))


@check(
    "agreement",
    where="answer",
    rule="What the authorization server says about the token does not contradict the token; less is allowed.",
    spec="RFC 7662 §2.2; lab",
    reason="answers-differ",
    hint="The answer seems to be about another token: look at what stands between broker and server.",
)
def agreement(case: Case) -> Verdict:
    told = case.answer
    for name in ("iss", "sub", "client_id", "jti"):
        if name in told and told[name] != case.claims[name]:
            return _differs(name, case.claims[name], told[name])
    if "cnf" in told and told["cnf"] != case.claims.get("cnf"):
        return _differs("cnf", case.claims.get("cnf"), told["cnf"])
    if "aud" in told and case.policy.audience not in _listed(told["aud"]):
        return _differs("aud", case.policy.audience, told["aud"])
    if "exp" in told and not (is_date(told["exp"]) and case.now < told["exp"] + case.policy.leeway):
        return _differs("exp", "later than now", told["exp"])
    if "scope" in told:  # the server may grant less here than elsewhere (RFC 7662 §2.2)
        left = told["scope"].split(" ") if isinstance(told["scope"], str) else ()
        case.scopes = tuple(name for name in case.scopes if name in left)
    return None


def _differs(name: str, expected: Any, actual: Any) -> Fault:
    return Fault(expected=f"{name} {shown(expected)}", actual=shown(actual))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


VOUCHED = (active, token_type)
#: After those, where a JWT has been judged before.
AGREEMENT = (agreement,)
