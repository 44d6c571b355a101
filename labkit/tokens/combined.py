"""Both judges, one after the other: what the token says, and what the authorization server says about it."""

from dataclasses import replace

from labkit.tokens.checks import COMBINED_CHECKS
from labkit.tokens.introspection import IntrospectionClient
from labkit.tokens.relying_party import Asking
from labkit.tokens.validator import TokenValidator

__all__ = ["CombinedValidator"]


class CombinedValidator(Asking):
    """Decides about a JWT twice: it has to be good by itself, and the authorization server has to agree.

    Forged, expired and misplaced tokens are refused on the spot, and cost the server nothing.  The others are
    asked about.  The answer may take something away (an earlier end, fewer scopes) and adds nothing.  Same
    face as :class:`~labkit.tokens.TokenValidator`; thread-safe.

    Args:
        validator: the judge that looks into the token.
        introspection: the one that asks.  Its ``leeway`` and ``required_scopes`` do not count here.

    Raises:
        ValueError: the two stand for different relying parties.

    Spec: RFC 9068 §4, RFC 7662 §2.
    """

    checks = COMBINED_CHECKS

    def __init__(self, validator: TokenValidator, introspection: IntrospectionClient) -> None:
        if (validator.issuer, validator.audience) != (introspection.issuer, introspection.audience):
            raise ValueError("the two judges must trust one issuer, and stand for one audience")
        policy = replace(validator._policy, ask=introspection.ask)
        super().__init__(policy, validator._clock, introspection.ask_anew)
        self._validator = validator
        self._introspection = introspection

    def ready_for(self, token: str | bytes) -> bool:
        """Whether :meth:`validate` will answer without touching the network; never raises."""
        return self._validator.ready_for(token) and self._introspection.ready_for(token)

    def close(self) -> None:
        """Close the connections to the server."""
        self._validator.close()
        self._introspection.close()

    def __repr__(self) -> str:
        return f"<CombinedValidator for {self.audience}: the token, then the word of {self.issuer}>"
