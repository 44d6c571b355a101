"""The table of checks: everything that is said about validation is said in these rows, once."""

from labkit.tokens.binding import BINDING
from labkit.tokens.claims import CLAIMS
from labkit.tokens.envelope import ENVELOPE
from labkit.tokens.spelling import SPELLING, TEXT
from labkit.tokens.table import Check
from labkit.tokens.vouched import VOUCHED

__all__ = ["CHECKS", "INTROSPECTION_CHECKS"]

#: For a JWT access token, in the order of the walk.
CHECKS: tuple[Check, ...] = (*SPELLING, *ENVELOPE, *CLAIMS, *BINDING)
#: For any access token that the authorization server is asked about.
INTROSPECTION_CHECKS: tuple[Check, ...] = (*TEXT, *VOUCHED, *CLAIMS, *BINDING)
