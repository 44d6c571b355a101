"""What both judges have in common: a policy, a clock, and a table of checks to walk along."""

from collections.abc import Mapping
from typing import Any, ClassVar

from labkit.tokens.access_token import AccessToken
from labkit.tokens.explanation import Explanation, explain
from labkit.tokens.policy import Now, Policy
from labkit.tokens.table import Case, Check, accepted, judge

__all__ = ["RelyingParty"]


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

    def _case(
        self, token: Any, client_id: str | None = None, proved: Mapping[str, str] | None = None
    ) -> Case:
        return Case(
            policy=self._policy, clock=self._clock, token=token, client_id=client_id, proved=proved or {}
        )
