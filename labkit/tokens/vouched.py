"""Rows of the table for introspection: what the server says, in place of header and signature."""

from labkit.errors import Undecided
from labkit.tokens.table import Case, Fault, NotAsked, Verdict, check, shown

__all__ = ["VOUCHED"]


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


VOUCHED = (active, token_type)
