"""Tokens that should be refused: a tool to test **your own** validator with.

====================  ===================================================================
:func:`token`         one token, as wrong as you like
:class:`Issuer`       an issuer with throw-away keys that signs whatever it is told to
:data:`CATALOGUE`     known attacks: a story, a builder, and the check that stops each
:func:`named`         the attack of that name
:func:`of_threat`     the attacks that belong to a row of the threat list, such as ``"T06"``
====================  ===================================================================

::

    issuer = forge.Issuer()
    validator = TokenValidator(issuer.issuer, issuer.audience, issuer.jwks)
    for attack in forge.CATALOGUE:
        client_id = attack.connects_as or issuer.client_id
        print(attack, validator.explain(attack.build(issuer), client_id=client_id).accepted)

What it is not for: other people's servers.  Every key is made on the spot, and trusted by nobody who was not
told to, so what is built here opens no door but your own.  Nothing is printed, logged or sent: a builder
returns a text, and what becomes of it is up to you.
"""

from labkit.forge.attack import Attack
from labkit.forge.catalogue import CATALOGUE, named, of_threat
from labkit.forge.headers import hmac_token
from labkit.forge.issuer import Issuer
from labkit.forge.making import (
    MISSING,
    base64url,
    key_of,
    new_key,
    public_jwk,
    public_spellings,
    sign,
    token,
)
from labkit.forge.spelled import high_s, other_last_character

__all__ = [
    "CATALOGUE",
    "MISSING",
    "Attack",
    "Issuer",
    "base64url",
    "high_s",
    "hmac_token",
    "key_of",
    "named",
    "new_key",
    "of_threat",
    "other_last_character",
    "public_jwk",
    "public_spellings",
    "sign",
    "token",
]
