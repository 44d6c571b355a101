"""The relying party's side: what a broker does with an access token.

============================  ==============================================================
:class:`TokenValidator`       checks JWT access tokens on the spot, with the issuer's keys
:class:`IntrospectionClient`  asks the authorization server about each token instead
:class:`CombinedValidator`    does both
:func:`new_validator`         one of the three, by one word
:data:`CHECKS`                the table of checks that both walk along
:class:`AccessToken`          what is known about a token that has passed
:class:`JwksCache`            the issuer's keys, fetched and kept fresh
:func:`peek_unverified`       looks into a token without checking anything
============================  ==============================================================
"""

from labkit.tokens.access_token import AccessToken
from labkit.tokens.checks import CHECKS, COMBINED_CHECKS, INTROSPECTION_CHECKS
from labkit.tokens.combined import CombinedValidator
from labkit.tokens.explanation import Explanation, Outcome
from labkit.tokens.introspection import IntrospectionClient
from labkit.tokens.jose import Unverified, peek_unverified
from labkit.tokens.jwks import JwksCache
from labkit.tokens.keys import ALGORITHMS, KeySource, StaticKeys
from labkit.tokens.modes import MODES, AnyValidator, Mode, new_validator
from labkit.tokens.table import Check
from labkit.tokens.validator import TokenValidator

__all__ = [
    "ALGORITHMS",
    "CHECKS",
    "COMBINED_CHECKS",
    "INTROSPECTION_CHECKS",
    "MODES",
    "AccessToken",
    "AnyValidator",
    "Check",
    "CombinedValidator",
    "Explanation",
    "IntrospectionClient",
    "JwksCache",
    "KeySource",
    "Mode",
    "Outcome",
    "StaticKeys",
    "TokenValidator",
    "Unverified",
    "new_validator",
    "peek_unverified",
]
