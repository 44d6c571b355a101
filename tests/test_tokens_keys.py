"""Key sets: which keys are used, which are left aside, and which make the whole set unusable."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed448
from support_tokens import CLIENT, MISSING, b64, jwks, private_key, public_jwk, token, validator

from labkit.errors import InvalidToken
from labkit.tokens import StaticKeys

ED448 = {"kty": "OKP", "crv": "Ed448", "alg": "EdDSA", "kid": "448",
         "x": b64(ed448.Ed448PrivateKey.generate().public_key().public_bytes_raw())}  # fmt: skip


@pytest.mark.conformance("RS-21")
def test_a_short_rsa_key_makes_the_set_unusable() -> None:
    weak = public_jwk("RS256", "weak")
    for keys in (jwks(weak), jwks(public_jwk("ES256"), weak)):
        with pytest.raises(ValueError, match="1024 bits"):
            validator(keys)
    StaticKeys(jwks(public_jwk("RS256")))


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA", "ES384", "ES512"])
def test_a_key_without_alg_has_the_one_of_its_type(algorithm: str) -> None:
    keys = jwks(public_jwk(algorithm, alg=MISSING, use=MISSING))
    validator(keys, algorithms=[algorithm]).validate(token(algorithm), client_id=CLIENT)
    if algorithm == "RS256":
        with pytest.raises(InvalidToken, match="wrong-algorithm"):
            validator(keys, algorithms=["PS256", "RS256"]).validate(
                token("PS256", header={"kid": "RS256"}, key=private_key("RS256"))
            )


@pytest.mark.parametrize(
    "other",
    [
        public_jwk("RS256", "enc", use="enc", alg="RSA-OAEP"),
        public_jwk("RS256", "enc", use="enc"),
        public_jwk("RS256", "enc", alg="RSA-OAEP-256"),
        public_jwk("ES256", "enc", alg="ECDH-ES"),
        public_jwk("ES256", "wrap", key_ops=["deriveKey"], use=MISSING),
        {"kty": "EC", "crv": "secp256k1", "alg": "ES256K", "kid": "k1", "x": "AA", "y": "AA"},
        {"kty": "OKP", "crv": "X25519", "kid": "x", "x": "AA"},
        {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA", "kid": "pq"},
        {"kty": ["EC"]},
        {},
        ED448,
    ],
)
def test_keys_for_other_purposes_are_left_aside(other: dict[str, Any]) -> None:
    validator(jwks(other, public_jwk("ES256"))).validate(token(), client_id=CLIENT)
    with pytest.raises(ValueError, match="no key"):
        StaticKeys(jwks(other))


@pytest.mark.parametrize("name", ["d", "p", "q", "dp", "dq", "qi", "oth", "k"])
def test_a_private_member_makes_the_set_unusable(name: str) -> None:
    for leaked in (public_jwk("ES256", **{name: "AA"}), public_jwk("RS256", use="enc", **{name: "AA"})):
        with pytest.raises(ValueError, match="private or symmetric"):
            StaticKeys(jwks(public_jwk("EdDSA"), leaked))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (public_jwk("ES256", x=MISSING), "lacks a member"),
        (public_jwk("ES256", y=5), "lacks a member"),
        (public_jwk("ES256", crv=MISSING), "lacks a member"),
        (public_jwk("RS256", n=MISSING), "lacks a member"),
        (public_jwk("EdDSA", x=None), "lacks a member"),
        (public_jwk("ES256", x="AA=="), "not base64url"),
        (public_jwk("ES256", x="AA"), "no EC public key"),
        (public_jwk("ES256", y=b64(bytes(32))), "no EC public key"),
        (public_jwk("ES256", x=b64(b"\xff" * 32), y=b64(b"\xff" * 32)), "no EC public key"),
        (public_jwk("EdDSA", x=b64(bytes(31))), "no OKP public key"),
        (public_jwk("RS256", e="AQ"), "no RSA public key"),
        (public_jwk("RS256", e="AA"), "no RSA public key"),
        (public_jwk("RS256", n=""), "no RSA public key"),
        (public_jwk("ES256", alg="ES384"), "does not fit"),
        (public_jwk("ES384", alg="ES256"), "does not fit"),
        (public_jwk("ES256", alg="RS256"), "does not fit"),
        (public_jwk("RS256", alg="ES256"), "does not fit"),
        (public_jwk("RS256", alg="HS256"), "does not fit"),
        (public_jwk("RS256", alg=["RS256"]), "does not fit"),
        (public_jwk("ES256", kid=5), "kid"),
        (public_jwk("ES256", kid=""), "kid"),
        (public_jwk("ES256", kid="a\nb"), "kid"),
    ],
)  # fmt: skip
def test_a_broken_key_makes_the_set_unusable(broken: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StaticKeys(jwks(public_jwk("EdDSA", "good"), broken))


def test_two_keys_with_one_kid_make_the_set_unusable() -> None:
    with pytest.raises(ValueError, match="same kid"):
        StaticKeys(jwks(public_jwk("ES256", kid="a"), public_jwk("RS256", kid="a")))


@pytest.mark.parametrize(
    "document", [{}, {"keys": {}}, {"keys": None}, {"keys": ["a"]}, {"keys": []}, {"keys": [{}] * 101}]
)
def test_what_is_no_key_set_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="set"):
        StaticKeys(document)


def test_members_that_point_elsewhere_are_not_followed() -> None:
    keys = jwks(public_jwk("ES256", x5u="http://127.0.0.1:9/", x5c=["MIIB"], x5t="abc", oddity={"a": 1}))
    validator(keys).validate(token(), client_id=CLIENT)


def test_a_key_set_can_be_shown() -> None:
    assert repr(StaticKeys(jwks(public_jwk("ES256")))) == "StaticKeys(<KeySet of ES256 (ES256)>)"
