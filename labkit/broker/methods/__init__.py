"""Enhanced authentication: the ways in which a token can come in AUTH packets (MQTT 5 §4.12).

===============  =========================================================================
``OAUTH2-JWT``   the token is the Authentication Data, as cloud brokers have it
``OAUTHBEARER``  the message of RFC 7628, which says in JSON what was wrong
``OAUTH2-POP``   the token, and a proof that the client has the key that it is bound to
===============  =========================================================================

A method is an object for one authentication.  It sees data and returns steps; it knows no socket, and it does
not judge tokens: that is done where every other token is judged.
"""

from collections.abc import Callable, Mapping
from typing import Final

from labkit.broker.methods.oauth2_jwt import OAuth2Jwt
from labkit.broker.methods.oauth2_pop import OAuth2Pop
from labkit.broker.methods.oauthbearer import OAuthBearer
from labkit.broker.methods.steps import Challenge, Failed, Method, Shown, Step

__all__ = [
    "METHODS",
    "Challenge",
    "Failed",
    "Method",
    "OAuth2Jwt",
    "OAuth2Pop",
    "OAuthBearer",
    "Shown",
    "Step",
]

#: Authentication Method → makes one for a client identifier.
METHODS: Final[Mapping[str, Callable[[str], Method]]] = {
    method.name: method for method in (OAuth2Jwt, OAuthBearer, OAuth2Pop)
}
