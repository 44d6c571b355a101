"""The last rows of the table: the token is good, but may this connection use it, and for this?"""

from labkit.errors import NotAllowed
from labkit.tokens.table import Case, Fault, NotAsked, Verdict, check, shown

__all__ = ["BINDING"]

#: Confirmation methods that a connection can prove: TLS client certificate, DPoP key.
_CONFIRMATIONS = frozenset({"x5t#S256", "jkt"})


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


BINDING = (cnf, required_scopes, client_binding)
