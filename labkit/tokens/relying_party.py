"""What both judges have in common: a policy, a clock, and a table of checks to walk along."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

from labkit.tokens.access_token import AccessToken
from labkit.tokens.explanation import Explanation, explain
from labkit.tokens.policy import Answer, Now, Policy
from labkit.tokens.table import Case, Check, accepted, judge

__all__ = ["Asking", "RelyingParty"]


class RelyingParty:
    """Judges access tokens by its :attr:`checks`.  Safe to use from several threads."""

    #: The rows that are walked, in order.
    checks: ClassVar[tuple[Check, ...]]

    def __init__(self, policy: Policy, clock: Now) -> None:
        self._policy = policy
        self._clock = clock

    @property
    def issuer(self) -> str:
        """The authorization server that is trusted."""
        return self._policy.issuer

    @property
    def audience(self) -> str:
        """The identifier of this relying party."""
        return self._policy.audience

    def validate(
        self, token: str | bytes, client_id: str | None = None, *, proved: Mapping[str, str] | None = None
    ) -> AccessToken:
        """The facts in ``token``, after every check has passed.

        Args:
            token: the token as received.
            client_id: the client identifier of the connection.  ``None`` leaves out the binding: only where
                there is no connection, as in a lesson.
            proved: the keys whose possession the connection has proved, as the ``cnf`` claim names them: for
                example ``{"x5t#S256": …}`` after TLS with a client certificate.

        Raises:
            TokenRejected: the token was refused, and nothing else is raised, whatever ``token`` is.
        """
        case = self._case(token, client_id, proved)
        judge(self.checks, case)
        return accepted(case)

    def explain(
        self, token: str | bytes, client_id: str | None = None, *, proved: Mapping[str, str] | None = None
    ) -> Explanation:
        """Every check with its outcome; never raises.  The arguments are those of :meth:`validate`."""
        return explain(self.checks, self._case(token, client_id, proved))

    def close(self) -> None:
        """Close what is kept open to the authorization server.  Harmless where there is nothing."""

    def _case(
        self, token: Any, client_id: str | None = None, proved: Mapping[str, str] | None = None
    ) -> Case:
        return Case(
            policy=self._policy, clock=self._clock, token=token, client_id=client_id, proved=proved or {}
        )


class Asking(RelyingParty):
    """A relying party that asks the authorization server, and can ask again.

    Args:
        policy: its settings, with an ``ask`` that may answer from memory.
        clock: tells the time, in Unix seconds.
        ask_anew: the same without memory.
    """

    def __init__(self, policy: Policy, clock: Now, ask_anew: Callable[[str], Answer]) -> None:
        super().__init__(policy, clock)
        self._anew = replace(policy, ask=ask_anew)

    def ask_again(
        self, token: str | bytes, client_id: str | None = None, *, proved: Mapping[str, str] | None = None
    ) -> AccessToken:
        """Like :meth:`validate`, with an answer that is asked for now, whatever was said before.

        For a connection that lives on: was its token revoked meanwhile?

        Raises:
            TokenRejected: the token is good no more; its leaf ``Undecided``: nobody could tell.
        """
        case = self._case(token, client_id, proved)
        case.policy = self._anew
        judge(self.checks, case)
        return accepted(case)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
