"""The table of checks: everything that is said about validation is said in these rows, once."""

from labkit.tokens.claims import BINDING, CLAIMS, VOUCHED
from labkit.tokens.envelope import ENVELOPE, TEXT
from labkit.tokens.table import Check

__all__ = ["CHECKS", "INTROSPECTION_CHECKS"]

#: For a JWT access token, in the order of the walk.
CHECKS: tuple[Check, ...] = (*ENVELOPE, *CLAIMS, *BINDING)
#: For any access token that the authorization server is asked about.
INTROSPECTION_CHECKS: tuple[Check, ...] = (*TEXT, *VOUCHED, *CLAIMS, *BINDING)
