"""One token, as wrong as you like.  Signed with ``cryptography`` alone: no JWT library stands in the way."""

import base64
import functools
import json
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

__all__ = ["MISSING", "base64url", "key_of", "new_key", "public_jwk", "public_spellings", "sign", "token"]

#: In place of a value: take this header parameter, claim or member out.
MISSING: Any = object()

_CURVES: dict[str, Callable[[], ec.EllipticCurve]] = {
    "ES256": ec.SECP256R1,
    "ES384": ec.SECP384R1,
    "ES512": ec.SECP521R1,
}
_CRV = {256: "P-256", 384: "P-384", 521: "P-521"}


def base64url(data: bytes) -> str:
    """base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def new_key(algorithm: str, *, rsa_bits: int = 2048) -> Any:
    """A fresh private key for ``algorithm``."""
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm in _CURVES:
        return ec.generate_private_key(_CURVES[algorithm]())
    return rsa.generate_private_key(65537, rsa_bits)


@functools.cache
def key_of(owner: str, algorithm: str = "ES256") -> Any:
    """The throw-away private key of ``owner``: one for the life of the process, as RSA keys take time."""
    return new_key(algorithm)


def sign(key: Any, algorithm: str, data: bytes) -> bytes:
    """A signature as JWS wants it.  Spec: RFC 7518 §3.3 to §3.5, RFC 8037 §3.1."""
    if algorithm == "EdDSA":
        signature: bytes = key.sign(data)
        return signature
    digest = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}[algorithm[2:]]
    if algorithm.startswith("ES"):
        size = (key.curve.key_size + 7) // 8
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(digest)))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")
    if algorithm.startswith("PS"):
        return bytes(key.sign(data, padding.PSS(padding.MGF1(digest), digest.digest_size), digest))
    return bytes(key.sign(data, padding.PKCS1v15(), digest))


def public_jwk(key: Any, algorithm: str, **members: Any) -> dict[str, Any]:
    """The public half of a private key as a JWK; ``members`` are added, or with ``MISSING`` taken out.

    Spec: RFC 7518 §6.2, §6.3; RFC 8037 §2.
    """
    jwk: dict[str, Any] = {"alg": algorithm, "use": "sig"}
    public = key.public_key()
    if algorithm == "EdDSA":
        jwk |= {"kty": "OKP", "crv": "Ed25519", "x": base64url(public.public_bytes_raw())}
    elif algorithm.startswith("ES"):
        size = (public.curve.key_size + 7) // 8
        x, y = (n.to_bytes(size, "big") for n in (public.public_numbers().x, public.public_numbers().y))
        jwk |= {"kty": "EC", "crv": _CRV[public.curve.key_size], "x": base64url(x), "y": base64url(y)}
    else:
        numbers = public.public_numbers()
        n, e = numbers.n.to_bytes(key.key_size // 8, "big"), numbers.e.to_bytes(3, "big")
        jwk |= {"kty": "RSA", "n": base64url(n), "e": base64url(e)}
    return {name: value for name, value in (jwk | members).items() if value is not MISSING}


def public_spellings(key: Any, algorithm: str) -> dict[str, bytes]:
    """A public key in every form that a careless validator may have about, and use as an HMAC secret."""
    public = key.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    jwk = public_jwk(key, algorithm, alg=MISSING, use=MISSING)
    spellings = {
        "PEM": pem,
        "PEM without its last line end": pem.rstrip(b"\n"),
        "PEM with CR LF": pem.replace(b"\n", b"\r\n"),
        "PEM in one line": b"".join(pem.splitlines()[1:-1]),
        "DER": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "JWK": json.dumps(jwk).encode(),
        "JWK without spaces": json.dumps(jwk, separators=(",", ":"), sort_keys=True).encode(),
        "one member of the JWK": jwk["n" if jwk["kty"] == "RSA" else "x"].encode(),
    }
    if jwk["kty"] == "RSA":
        spellings["PKCS#1 PEM"] = public.public_bytes(Encoding.PEM, PublicFormat.PKCS1)
    elif jwk["kty"] == "EC":
        spellings["point"] = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    else:
        spellings["point"] = public.public_bytes_raw()
    return spellings


def token(
    claims: Mapping[str, Any] | bytes,
    *,
    header: Mapping[str, Any] | bytes | None = None,
    key: Any = None,
    algorithm: str = "ES256",
    signature: bytes | Callable[[bytes], bytes] | None = None,
) -> str:
    """A token in compact serialisation (RFC 7515 §7.1), well-formed only as far as you want it.

    Args:
        claims: the claims set; or the bytes of the payload, which then need not be JSON at all.
        header: changes to ``{"typ": "at+jwt", "alg": algorithm}``, ``MISSING`` takes a parameter out; or the
            bytes of the whole header.
        key: private key to sign with; a throw-away key of a stranger when left out.
        algorithm: how the token is signed, whatever its header says.
        signature: the bytes of the signature, or a function of the signing input, in place of signing.
    """
    if not isinstance(header, bytes):
        header = _json({"typ": "at+jwt", "alg": algorithm} | dict(header or {}))
    if not isinstance(claims, bytes):
        claims = _json(claims)
    signing_input = f"{base64url(header)}.{base64url(claims)}".encode()
    if signature is None:
        signature = sign(key or key_of("stranger", algorithm), algorithm, signing_input)
    elif callable(signature):
        signature = signature(signing_input)
    return f"{signing_input.decode()}.{base64url(signature)}"


def _json(members: Mapping[str, Any]) -> bytes:
    return json.dumps({name: value for name, value in members.items() if value is not MISSING}).encode()
