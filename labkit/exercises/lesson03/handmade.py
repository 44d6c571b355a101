"""The hand-made validator of notebook 03 with all its holes, for a section that is run without the first.

It is the code of the notebook's cells; only ``lab``, which is a name of the notebook there, is handed in.
"""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature as pack
from cryptography.hazmat.primitives.hashes import SHA256

__all__ = ["hand_made", "public_keys"]

Keys = Mapping[str, ec.EllipticCurvePublicKey]


class Refused(Exception):
    """The token does not get in; the text says why."""


def decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def public_keys(jwks: Mapping[str, Any]) -> Keys:
    """The public keys of a key set, each under its key id."""
    keys = {}
    for jwk in jwks["keys"]:
        x, y = (int.from_bytes(decode(jwk[name])) for name in ("x", "y"))
        keys[jwk["kid"]] = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1())
    return {kid: point.public_key() for kid, point in keys.items()}


def check_signature(token: str, keys: Keys) -> None:
    signed, _, last = token.rpartition(".")
    kid = json.loads(decode(token.split(".")[0]))["kid"]
    signature = decode(last)
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    keys[kid].verify(pack(r, s), signed.encode(), ec.ECDSA(SHA256()))


def hand_made(lab: Any) -> Callable[[str, str, str, Keys], str]:
    """``by_hand``, the validator of section 1, for the broker of this lab."""

    def check_claims(claims: Any, issuer: str, client_id: str) -> None:
        if claims["iss"] != issuer:
            raise Refused("iss")
        if lab.audience not in claims["aud"]:
            raise Refused("aud")
        if "exp" in claims and float(claims["exp"]) <= lab.clock.now():
            raise Refused("exp")
        if "mqtt.connect" not in claims["scope"]:
            raise Refused("scope")
        if claims["client_id"] != client_id:
            raise Refused("client_id")

    def by_hand(token: str, client_id: str, issuer: str, keys: Keys) -> str:
        """Let a token in, or say where it was stopped."""
        try:
            check_signature(token, keys)
            check_claims(json.loads(decode(token.split(".")[1])), issuer, client_id)
        except InvalidSignature:
            return "stopped: signature"
        except Refused as refused:
            return f"stopped: {refused}"
        except Exception as error:
            return f"fell over: {type(error).__name__}"
        return "let in"

    return by_hand
