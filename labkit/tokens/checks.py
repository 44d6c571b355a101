"""The table of checks: everything that is said about validation is said in these rows, once."""

from labkit.tokens.binding import BINDING, required_scopes
from labkit.tokens.claims import CLAIMS
from labkit.tokens.envelope import ENVELOPE
from labkit.tokens.spelling import SPELLING, TEXT
from labkit.tokens.table import Check
from labkit.tokens.vouched import AGREEMENT, VOUCHED

__all__ = ["CHECKS", "COMBINED_CHECKS", "INTROSPECTION_CHECKS"]

#: For a JWT access token, in the order of the walk.
CHECKS: tuple[Check, ...] = (*SPELLING, *ENVELOPE, *CLAIMS, *BINDING)
#: For any access token that the authorization server is asked about.
INTROSPECTION_CHECKS: tuple[Check, ...] = (*TEXT, *VOUCHED, *CLAIMS, *BINDING)
#: For a JWT that has to be good by itself, and good in the eyes of the authorization server as well.  The
#: scopes come last, as the server may say that some of them are gone.
COMBINED_CHECKS: tuple[Check, ...] = (
    *(row for row in CHECKS if row is not required_scopes),
    *VOUCHED,
    *AGREEMENT,
    required_scopes,
)
