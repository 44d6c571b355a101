"""The validator against the standards: what must pass, and what must not."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from support_tokens import (
    AUDIENCE,
    CLIENT,
    ISSUER,
    MISSING,
    NOW,
    THREE,
    b64,
    claims,
    frozen,
    http_server,
    jwks,
    private_key,
    public_jwk,
    sign,
    token,
    validator,
)

from labkit.errors import InvalidToken, NotAllowed, TokenRejected
from labkit.tokens import ALGORITHMS, CHECKS, TokenValidator, peek_unverified

every_algorithm = pytest.mark.parametrize("algorithm", THREE)


def accepts(text: str | bytes, client_id: str | None = CLIENT, **settings: Any) -> Any:
    return validator(**settings).validate(text, client_id=client_id)


def refusal(text: Any, client_id: str | None = CLIENT, **settings: Any) -> TokenRejected:
    with pytest.raises(TokenRejected) as refused:
        validator(**settings).validate(text, client_id=client_id)
    return refused.value


@every_algorithm
@pytest.mark.parametrize("as_bytes", [False, True])
def test_a_good_token_becomes_facts(algorithm: str, as_bytes: bool) -> None:
    good = token(algorithm, nbf=NOW - 10, aud=["https://other", AUDIENCE], extra={"a": [1]})
    facts = accepts(good.encode() if as_bytes else good)
    assert (facts.issuer, facts.subject, facts.client_id, facts.jti) == (ISSUER, CLIENT, CLIENT, "b7a1")
    assert facts.audience == ("https://other", AUDIENCE)
    assert facts.scopes[0] == "mqtt.connect"
    assert (facts.issued_at, facts.not_before, facts.expires_at) == (NOW - 10, NOW - 10, NOW + 290)
    assert (facts.algorithm, facts.key_id) == (algorithm, algorithm)
    assert facts.claims["extra"] == {"a": [1]}
    assert facts.permissions.may_publish(f"devices/{CLIENT}/up")
    with pytest.raises(TypeError):
        facts.claims["iss"] = "changed"


@every_algorithm
@pytest.mark.conformance("RS-01")
def test_typ_is_a_media_type_and_nothing_else(algorithm: str) -> None:
    for typ in ("at+jwt", "AT+JWT", "at+JWT", "application/at+jwt", "Application/AT+jwt"):
        accepts(token(algorithm, header={"typ": typ}))
    for typ in (
        "JWT",
        "jwt",
        "id+jwt",
        "at",
        "jwt+at",
        "application/jwt",
        "x/at+jwt",
        "at+jwt;a=b",
        None,
        MISSING,
    ):
        assert refusal(token(algorithm, header={"typ": typ})).claim == "typ"


def test_typ_jwt_can_be_allowed_for_servers_that_write_it() -> None:
    accepts(token(header={"typ": "JWT"}), token_types=("at+jwt", "JWT"))
    assert refusal(token(header={"typ": MISSING}), token_types=("JWT",)).claim == "typ"


@pytest.mark.conformance("RS-02")
def test_iss_is_compared_exactly() -> None:
    for other in (ISSUER + "/", ISSUER.upper(), ISSUER + "\u200b", ISSUER.replace("127.0.0.1", "localhost")):
        assert refusal(token(iss=other)).reason == "wrong-issuer"


@pytest.mark.conformance("RS-03", "RS-13")
def test_aud_is_a_string_or_an_array_of_strings_with_this_broker_in_it() -> None:
    for good in (AUDIENCE, [AUDIENCE], ["https://other", AUDIENCE], [AUDIENCE, AUDIENCE]):
        accepts(token(aud=good))
    for other in ("https://other", [], ["https://other"], f"{AUDIENCE} x", AUDIENCE[:-1], AUDIENCE + "/"):
        assert refusal(token(aud=other)).reason == "wrong-audience"
    for ill_typed in (None, 5, True, {}, [None], [AUDIENCE, 5], [[AUDIENCE]], {AUDIENCE: AUDIENCE}):
        assert refusal(token(aud=ill_typed)).reason == "malformed-claim"


@every_algorithm
@pytest.mark.conformance("RS-04")
def test_only_a_signature_by_a_key_of_the_issuer_passes(algorithm: str) -> None:
    accepts(token(algorithm))
    assert refusal(token(algorithm, key=private_key(algorithm, "stranger"))).reason == "forged"
    assert (
        refusal(token(algorithm, header={"alg": "none"}, signature=lambda _: b"")).reason == "wrong-algorithm"
    )
    head, payload, signature = token(algorithm).split(".")
    for position in range(0, len(signature), 7):
        letter = "A" if signature[position] != "A" else "B"
        broken = signature[:position] + letter + signature[position + 1 :]
        assert refusal(f"{head}.{payload}.{broken}").reason in ("forged", "malformed")


@pytest.mark.conformance("RS-05", "RS-14")
def test_a_token_is_dead_at_the_second_of_its_exp() -> None:
    clock = frozen()
    judge = validator(clock=clock)
    text = token(exp=NOW + 10)
    judge.validate(text, client_id=CLIENT)
    clock.advance(seconds=9.5)
    judge.validate(text, client_id=CLIENT)
    clock.advance(seconds=0.5)
    with pytest.raises(InvalidToken, match="expired"):
        judge.validate(text, client_id=CLIENT)
    accepts(token(exp=NOW - 59, iat=NOW - 99), leeway=60)
    assert refusal(token(exp=NOW - 60, iat=NOW - 99), leeway=60).reason == "expired"
    for too_much in (301, 86_400, -1, float("inf"), float("nan"), True):
        with pytest.raises(ValueError, match="leeway"):
            validator(leeway=too_much)


@pytest.mark.conformance("RS-06")
@pytest.mark.parametrize("name", ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"])
def test_the_seven_claims_are_required_and_typed(name: str) -> None:
    assert refusal(token(**{name: MISSING})).reason == "missing-claim"
    for ill_typed in (None, True, False, [], {}, [[]], "" if name in ("exp", "iat") else 5):
        error = refusal(token(**{name: ill_typed}))
        assert error.claim == name
        assert error.return_code == 4


@every_algorithm
@pytest.mark.conformance("RS-07")
def test_a_token_has_one_spelling(algorithm: str) -> None:
    good = token(algorithm)
    head, payload, signature = good.split(".")
    for other in (
        good + "=",
        good + "\n",
        " " + good,
        good.replace(".", "..", 1),
        f"{head}.{payload}",
        f"{head}.{payload}.{signature}.",
        f"{head}.{payload}.{signature[:5]} {signature[5:]}",
        f"{head}=.{payload}.{signature}",
        f"{head}.{payload}=.{signature}",
        f"{head}.{payload}%3D.{signature}",
        f"{b64(b'[]')}.{payload}.{signature}",
        f"{b64(bytes([0xFF, 0xFE]))}.{payload}.{signature}",
    ):
        assert refusal(other).reason == "malformed"
    # The signature covers the bytes as received: the same JSON written otherwise is another token.
    rewritten = b64(json.dumps(claims(), indent=1).encode())
    assert refusal(f"{head}.{rewritten}.{signature}").reason == "forged"


@pytest.mark.conformance("RS-08")
def test_unknown_header_parameters_are_ignored_and_duplicates_refused() -> None:
    accepts(token(header={"x": None, "cty": "json", "https://example.org/p": {"a": [1, 2]}, "Alg": "none"}))
    accepts(token(header={"b64": True}))
    good = json.dumps({"typ": "at+jwt", "alg": "ES256", "kid": "ES256"}).encode()
    assert refusal(token(header=good[:-1] + b',"alg":"ES256"}')).reason == "malformed"


@pytest.mark.conformance("RS-09")
@pytest.mark.parametrize("crit", [["x"], ["exp"], [], ["alg"], ["b64"], "x", None, {}, [1], ["x", "x"]])
def test_crit_is_never_ignored(crit: Any) -> None:
    assert refusal(token(header={"crit": crit, "x": 1})).reason == "critical-header"


@every_algorithm
@pytest.mark.conformance("RS-10")
def test_kid_is_a_case_sensitive_lookup_key_in_the_trusted_set(algorithm: str) -> None:
    accepts(token(algorithm))
    assert refusal(token(algorithm, header={"kid": algorithm.swapcase()})).reason == "unknown-key"
    others = [name for name in THREE if name != algorithm]
    assert refusal(token(algorithm, header={"kid": others[0]})).reason == "wrong-algorithm"
    for no_string in (None, 1, True, [algorithm], {}):
        assert refusal(token(algorithm, header={"kid": no_string})).claim == "kid"


def test_a_token_without_kid_needs_a_set_with_one_key_for_its_algorithm() -> None:
    accepts(token(header={"kid": MISSING}))
    two = jwks(public_jwk("ES256"), public_jwk("ES256", "second"))
    assert refusal(token(header={"kid": MISSING}), keys=two).reason == "unknown-key"
    accepts(token(header={"kid": MISSING}), keys=jwks(public_jwk("ES256", kid=MISSING)))


@pytest.mark.conformance("RS-11")
@pytest.mark.parametrize("crit", [MISSING, ["b64"]])
def test_an_unencoded_payload_is_refused(crit: Any) -> None:
    header = {"b64": False, "crit": crit}
    assert refusal(token(header=header)).claim in ("b64", "crit")
    parameters = json.dumps({"typ": "at+jwt", "alg": "ES256", "kid": "ES256", "b64": False}).encode()
    signing_input = f"{b64(parameters)}.".encode() + json.dumps(claims()).encode()
    signature = b64(sign(private_key("ES256"), "ES256", signing_input))
    assert refusal(f"{b64(parameters)}.{b64(json.dumps(claims()).encode())}.{signature}").claim == "b64"


@pytest.mark.conformance("RS-12")
def test_duplicate_claims_are_refused_everywhere() -> None:
    good = json.dumps(claims()).encode()
    for twice in (
        b'{"exp":9999999999,' + good[1:],
        good[:-1] + b',"x":{"y":1,"y":1}}',
        b'{"\\u0073ub":"",' + good[1:],
    ):
        assert refusal(token(payload=twice)).reason == "malformed"
        with pytest.raises(InvalidToken):
            peek_unverified(token(payload=twice))


@pytest.mark.conformance("RS-15")
def test_nbf_is_kept_with_leeway() -> None:
    accepts(token(nbf=NOW))
    accepts(token(nbf=0))
    accepts(token(nbf=-1.5))
    accepts(token(nbf=NOW + 60), leeway=60)
    assert refusal(token(nbf=NOW + 1)).reason == "not-yet-valid"
    assert refusal(token(nbf=NOW + 61), leeway=60).reason == "not-yet-valid"


@pytest.mark.conformance("RS-16")
@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
def test_dates_are_json_numbers(name: str) -> None:
    moment = NOW + 5 if name == "exp" else NOW - 5
    rest = json.dumps(claims(**{name: MISSING})).encode()

    def written(text: str) -> str:
        return token(payload=rest[:-1] + f',"{name}":{text}}}'.encode())

    for good in (f"{moment}", f"{moment}.25", f"{moment}.0", f"{moment / 1e9!r}e9", f"{moment}E+0"):
        accepts(written(good))
    for bad in (f'"{moment}"', "true", "null", "[]", "{}", "NaN", "Infinity", "-Infinity", "1e999",
                "-1e999", f"0{moment}", f"+{moment}", f"{moment}.", "0x7fffffff", "9" * 400,
                "9" * 5000, "1e30"):  # fmt: skip
        error = refusal(written(bad))
        assert error.reason in ("malformed", "malformed-claim")


@every_algorithm
@pytest.mark.conformance("RS-17", "RS-26")
def test_the_payload_is_one_json_object_in_utf_8(algorithm: str) -> None:
    text = json.dumps(claims(place="Zürich 🌡"), ensure_ascii=False)
    accepts(token(algorithm, payload=text.encode()))
    accepts(token(algorithm, payload=b" \t\r\n" + text.encode() + b"\n"))
    for data in (
        text.encode("utf-16"),
        text.encode("utf-16-be"),
        text.encode("utf-32"),
        text.encode("latin-1", "replace"),
        text.encode("utf-8-sig"),
        text.encode() + b"}",
        text.encode() * 2,
        b"[" + text.encode() + b"]",
        b'"' + text.encode().hex().encode() + b'"',
        b"1",
        b"",
        text.encode().replace("🌡".encode(), b"\xed\xa0\x80"),
        text.encode().replace("🌡".encode(), b"\\ud83c"),
    ):
        assert refusal(token(algorithm, payload=data)).reason == "malformed"


@pytest.mark.conformance("RS-18")
def test_strings_are_compared_after_unescaping_and_without_normalisation() -> None:
    escaped = json.dumps(claims()).replace('"client_id": "t', '"client\\u005fid": "\\u0074').encode()
    assert b"\\u0074hermostat" in escaped
    accepts(token(payload=escaped))
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    accepts(token(client_id=composed), client_id=composed)
    assert refusal(token(client_id=composed), client_id=decomposed).reason == "wrong-client"
    assert refusal(token(client_id="Straße"), client_id="STRASSE").reason == "wrong-client"
    assert refusal(token(client_id="K"), client_id="\u212a").reason == "wrong-client"  # Kelvin sign


@every_algorithm
@pytest.mark.conformance("RS-19")
@pytest.mark.parametrize("none", ["none", "None", "NONE", "nOnE", "none\0", "", None, 0, False, [], ["none"]])
def test_none_is_no_algorithm_in_any_spelling(algorithm: str, none: Any) -> None:
    for signature in (b"", bytes(64)):
        forged = token(algorithm, header={"alg": none}, signature=lambda _, signature=signature: signature)
        assert refusal(forged).reason == "wrong-algorithm"


ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # n of P-256


def p256(r: int, s: int) -> bytes:
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@pytest.mark.conformance("RS-20")
def test_es256_takes_64_bytes_with_r_and_s_in_range() -> None:
    def with_numbers(change: Any) -> str:
        def signature(data: bytes) -> bytes:
            made = sign(private_key("ES256"), "ES256", data)
            return change(int.from_bytes(made[:32], "big"), int.from_bytes(made[32:], "big"))

        return token(signature=signature)

    accepts(with_numbers(p256))
    # s and n - s verify both, and no text forbids either: a token is known by its jti, not by its text.
    accepts(with_numbers(lambda r, s: p256(r, ORDER - s)))
    for wrong in (
        lambda r, s: p256(0, 0),
        lambda r, s: p256(r, 0),
        lambda r, s: p256(0, s),
        lambda r, s: p256(1, 1),
        lambda r, s: p256(ORDER, ORDER),
        lambda r, s: p256(r, ORDER),
        lambda r, s: p256(ORDER, s),
        lambda r, s: p256(0, 1),
        lambda r, s: p256(s, r),
        lambda r, s: p256(2**256 - 1, 2**256 - 1),
        lambda r, s: p256(r, s)[:63],
        lambda r, s: p256(r, s) + b"\0",
        lambda r, s: b"\0" + p256(r, s),
        lambda r, s: r.to_bytes(33, "big") + s.to_bytes(33, "big"),
        lambda r, s: encode_dss_signature(r, s),
        lambda r, s: b"",
    ):
        assert refusal(with_numbers(wrong)).reason == "forged"


@pytest.mark.conformance("RS-20")
def test_es256_is_for_p_256_only() -> None:
    wide = ec.generate_private_key(ec.SECP384R1())
    assert refusal(token(signature=lambda data: sign(wide, "ES256", data))).reason == "forged"
    with pytest.raises(ValueError, match="alg"):
        validator(jwks(public_jwk("ES384", alg="ES256")))


EDWARDS_ORDER = 2**252 + 27742317777372353535851937790883648493


@pytest.mark.conformance("RS-22")
def test_ed25519_takes_no_s_beyond_the_order() -> None:
    def with_s(change: Any) -> str:
        def signature(data: bytes) -> bytes:
            made = sign(private_key("EdDSA"), "EdDSA", data)
            return made[:32] + change(int.from_bytes(made[32:], "little")).to_bytes(32, "little")

        return token("EdDSA", signature=signature)

    accepts(with_s(lambda s: s))
    for wrong in (
        lambda s: s + EDWARDS_ORDER,
        lambda s: s | 1 << 255,
        lambda s: s | 1 << 253,
        lambda s: 0,
        lambda s: EDWARDS_ORDER,
        lambda s: EDWARDS_ORDER - s,
    ):
        assert refusal(with_s(wrong)).reason == "forged"
    identity = (1).to_bytes(32, "little")
    assert refusal(token("EdDSA", signature=lambda _: identity + bytes(32))).reason == "forged"


def test_rs256_takes_exactly_the_bytes_of_the_modulus() -> None:
    modulus = private_key("RS256").public_key().public_numbers().n

    def shifted(data: bytes) -> bytes:
        made = int.from_bytes(sign(private_key("RS256"), "RS256", data), "big")
        return (made + modulus).to_bytes(257, "big")

    for wrong in (
        shifted,
        lambda data: b"\0" + sign(private_key("RS256"), "RS256", data),
        lambda _: bytes(256),
    ):
        assert refusal(token("RS256", signature=wrong)).reason == "forged"
    pss = token("RS256", signature=lambda data: sign(private_key("RS256"), "PS256", data))
    assert refusal(pss).reason == "forged"


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
@pytest.mark.conformance("RS-23")
def test_each_algorithm_works_when_it_is_allowed_and_only_with_its_own_keys(algorithm: str) -> None:
    keys = jwks(public_jwk(algorithm))
    accepts(token(algorithm), keys=keys, algorithms=[algorithm])
    others = [name for name in ALGORITHMS if name != algorithm]
    assert refusal(token(algorithm), keys=keys, algorithms=others).reason == "wrong-algorithm"
    # All are allowed, the key would fit the other algorithm, too; but it has one of its own.
    for other in others:
        if ALGORITHMS[other] == ALGORITHMS[algorithm]:
            forged = token(other, header={"kid": algorithm}, key=private_key(algorithm))
            assert refusal(forged, keys=keys, algorithms=list(ALGORITHMS)).reason == "wrong-algorithm"


@pytest.mark.conformance("RS-24")
def test_a_public_key_is_never_an_hmac_secret() -> None:
    import hashlib
    import hmac

    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    for algorithm in THREE:
        key = private_key(algorithm).public_key()
        pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        for secret in (pem, pem.strip(), json.dumps(public_jwk(algorithm)).encode()):
            forged = token(
                header={"alg": "HS256", "kid": algorithm},
                signature=lambda data, secret=secret: hmac.digest(secret, data, hashlib.sha256),
            )
            assert refusal(forged).reason == "wrong-algorithm"
    for mixed in (["RS256", "HS256"], ["HS512"], ["none"], ["ES256", "none"]):
        with pytest.raises(ValueError, match="not allowed"):
            validator(algorithms=mixed)


@pytest.mark.conformance("RS-25")
def test_hmac_secrets_are_a_start_up_error() -> None:
    for secret in (b"secret", bytes(32)):
        with pytest.raises(ValueError, match="symmetric"):
            validator(jwks({"kty": "oct", "k": b64(secret), "kid": "a", "alg": "HS256"}))
        with pytest.raises(ValueError, match="symmetric"):
            validator(jwks(public_jwk("ES256"), {"kty": "oct", "k": b64(secret)}))
    with pytest.raises(ValueError, match="HS256"):
        validator(algorithms=["HS256"])


@pytest.mark.conformance("RS-27")
def test_keys_are_bound_to_their_issuer_and_tokens_to_their_audience() -> None:
    ours = TokenValidator(ISSUER, AUDIENCE, jwks(public_jwk("ES256")), clock=frozen())
    other = TokenValidator("https://other", AUDIENCE, jwks(public_jwk("ES256", "other")), clock=frozen())
    signed_by_other = {"key": private_key("ES256", "other"), "header": {"kid": "ES256other"}}
    ours.validate(token())
    other.validate(token(iss="https://other", **signed_by_other))
    for judge, forged in (
        (ours, token(**signed_by_other)),
        (ours, token(key=private_key("ES256", "other"))),
        (other, token(iss="https://other")),
        (other, token(**signed_by_other)),
        (ours, token(iss="https://other")),
        (ours, token(aud="https://other")),
    ):
        with pytest.raises(InvalidToken):
            judge.validate(forged)


@every_algorithm
@pytest.mark.conformance("RS-28")
def test_keys_and_addresses_in_the_header_are_not_followed(algorithm: str) -> None:
    stranger = public_jwk(algorithm, "stranger", kid=algorithm)
    with http_server() as canary:
        canary.body = json.dumps(jwks(stranger)).encode()
        for parameter in ({"jku": canary.url}, {"x5u": canary.url}, {"jwk": stranger}, {"x5c": ["MIIB"]}):
            assert (
                refusal(token(algorithm, key=private_key(algorithm, "stranger"), header=parameter)).reason
                == "forged"
            )
            accepts(token(algorithm, header=parameter))
    assert canary.requests == []
    for hostile in (
        "../../dev/null",
        "/etc/passwd",
        "' OR '1'='1",
        "| id",
        "a\r\nb",
        "a\0",
        "\u202e",
        "k" * 10_000,
    ):
        assert refusal(token(algorithm, header={"kid": hostile})).claim == "kid"


@every_algorithm
@pytest.mark.conformance("RS-29")
def test_other_kinds_of_jwt_are_refused(algorithm: str) -> None:
    id_token = claims(aud=[AUDIENCE], nonce="n", client_id=MISSING, azp=CLIENT)
    assertion = claims(iss=CLIENT, aud=AUDIENCE, client_id=MISSING, scope=MISSING)
    proof = {"jti": "a", "htm": "POST", "htu": "https://mqtt.lab", "iat": NOW}
    introspection = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": NOW,
        "token_introspection": claims() | {"active": True},
    }
    kinds = {
        "JWT": id_token,
        "client-authentication+jwt": assertion,
        "dpop+jwt": proof,
        "token-introspection+jwt": introspection,
        "logout+jwt": claims(events={}),
        "secevent+jwt": claims(events={}),
        "oauth-authz-req+jwt": claims(),
    }
    for typ, payload in kinds.items():
        assert refusal(token(algorithm, header={"typ": typ}, payload=payload)).reason == "wrong-type"
        assert refusal(token(algorithm, header={"typ": typ})).reason == "wrong-type"


@pytest.mark.conformance("RS-30")
def test_encrypted_compressed_and_oversized_tokens_are_refused_unread() -> None:
    assert refusal("a.b.c.d.e").reason == "encrypted"
    assert refusal(token(header={"zip": "DEF"})).reason == "encrypted"
    assert refusal(token(header={"enc": "A256GCM", "alg": "dir"})).reason == "encrypted"
    assert refusal("a" * 16_385).reason == "too-long"
    padding = "x" * (16_384 - len(token(x="")))
    fits = token(x=padding[: len(padding) * 3 // 4 - 2])
    assert 16_000 < len(fits) <= 16_384
    accepts(fits)
    assert refusal(fits, max_token_bytes=len(fits) - 1).reason == "too-long"
    started = datetime.now(UTC)
    for huge in ("a" * 50_000_000, b"." * 50_000_000):
        assert refusal(huge).reason == "too-long"
    assert (datetime.now(UTC) - started).total_seconds() < 2


@pytest.mark.conformance("RS-35")
def test_no_token_and_no_signature_in_any_text_that_is_made_about_it() -> None:
    good = token()
    head, payload, signature = good.split(".")
    judge = validator()
    texts = [repr(judge), repr(judge.validate(good)), str(judge.validate(good)), str(peek_unverified(good))]
    for case in (
        good,
        good + "x",
        good + "=",
        good.encode(),
        f"{good}.x.y",
        token(iss=good),
        token(client_id=good),
    ):
        explanation = judge.explain(case, client_id=good)
        texts += [str(explanation), repr(explanation), *map(str, explanation)]
        with pytest.raises(TokenRejected) as refused:
            judge.validate(case, client_id="x")
        texts += [str(refused.value), repr(refused.value), str(vars(refused.value)), repr(refused.value.args)]
    for text in texts:
        for secret in (good, signature, payload[:24], head[:24]):
            assert secret not in text


@pytest.mark.conformance("RS-37")
def test_a_bad_token_and_a_good_one_without_rights_are_told_apart() -> None:
    bad = refusal(token(exp=NOW))
    assert (bad.return_code, bad.reason_code, bad.error) == (4, 0x86, "invalid_token")
    for weak in (refusal(token(scope="mqtt.publish:a")), refusal(token(), client_id="mallory")):
        assert isinstance(weak, NotAllowed)
        assert (weak.return_code, weak.reason_code, weak.error) == (5, 0x87, "insufficient_scope")


@pytest.mark.conformance("RS-38")
def test_a_token_bound_to_a_dpop_key_is_no_bearer_token() -> None:
    bound = token(cnf={"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"})
    assert refusal(bound).reason == "not-the-key-holder"
    assert (
        validator().validate(bound, proved={"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}).jti
        == "b7a1"
    )


@pytest.mark.conformance("RS-39")
def test_a_token_bound_to_a_certificate_needs_that_certificate() -> None:
    judge, bound = validator(), token(cnf={"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"})
    judge.validate(bound, proved={"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"})
    for proved in (None, {}, {"x5t#S256": "other"}, {"jkt": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}):
        with pytest.raises(InvalidToken, match="not-the-key-holder"):
            judge.validate(bound, proved=proved)
    both = token(cnf={"x5t#S256": "a", "jkt": "b"})
    with pytest.raises(InvalidToken):
        judge.validate(both, proved={"x5t#S256": "a"})
    judge.validate(both, proved={"x5t#S256": "a", "jkt": "b"})


@pytest.mark.conformance("RS-40")
def test_the_client_identifier_is_the_client_id_claim_code_point_by_code_point() -> None:
    accepts(token())
    for other in (
        "",
        " ",
        CLIENT + " ",
        CLIENT.upper(),
        CLIENT[:-1],
        CLIENT + "\0",
        CLIENT.replace("-", "\u2010"),
    ):
        assert refusal(token(), client_id=other).reason == "wrong-client"
    assert refusal(token(client_id=""), client_id="").reason == "malformed-claim"
    accepts(token(), client_id=None)
    assert [o.state for o in validator().explain(token()) if o.check.name == "client binding"] == [
        "not asked"
    ]


@every_algorithm
@pytest.mark.conformance("RS-70")
@pytest.mark.parametrize(
    "text",
    [
        "null",
        "[]",
        "{}",
        '"mqtt.connect"',
        "1e999",
        "9" * 2500,
        "-0",
        "[" * 40 + "]" * 40,
        '"\\u0000"',
        "false",
    ],
)
def test_a_claim_that_is_not_understood_changes_no_verdict(algorithm: str, text: str) -> None:
    unknown = f'{{"https://example.org/x":{text},"act":{text},"Exp":{text},"":{text},'
    for good in (claims(), claims(exp=NOW)):
        plain = json.dumps(good)
        with_unknown = token(algorithm, payload=(unknown + plain[1:]).encode())
        assert (
            validator().explain(with_unknown).accepted
            == validator().explain(token(algorithm, payload=good)).accepted
        )


@pytest.mark.conformance("RS-71")
def test_a_subject_is_a_name_given_by_the_trusted_issuer() -> None:
    assert accepts(token(sub=CLIENT)).subject == CLIENT
    # With a resource owner the subject is the owner (RFC 9068 §2.2); client_id binds the client.
    assert accepts(token(sub="alice")).subject == "alice"
    for no_subject in ("", None, 0, [], ["alice"], {"name": "alice"}, MISSING):
        assert refusal(token(sub=no_subject)).claim == "sub"
    assert refusal(token(sub="alice", iss="https://other")).reason == "wrong-issuer"
    assert refusal(token(sub=CLIENT, client_id="mallory")).reason == "wrong-client"


@pytest.mark.conformance("RS-73")
def test_every_check_of_rfc_9068_section_4_fails_with_invalid_token() -> None:
    failures = {
        "typ": token(header={"typ": "JWT"}),
        None: "a.b.c.d.e",
        "iss": token(iss="https://other"),
        "aud": token(aud="https://other"),
        "alg": token(header={"alg": "none"}, signature=lambda _: b""),
        "exp": token(exp=NOW),
    }
    for claim, forged in failures.items():
        error = refusal(forged)
        assert (error.error, error.claim) == ("invalid_token", claim)
    assert refusal(token(key=private_key("ES256", "stranger"))).error == "invalid_token"


def test_the_table_of_checks_is_complete_for_each_row() -> None:
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    for check in CHECKS:
        assert check.rule.endswith(".")
        assert check.hint.endswith(".")
        assert check.spec
        assert check.return_code in (4, 5)
        assert check.reason_code in (0x86, 0x87)
    names = [check.name for check in CHECKS]
    assert names.index("signature") < min(i for i, check in enumerate(CHECKS) if check.where == "claims")
    # RFC 9200 §5.10.1.1: the order of errors.
    assert names.index("iss") < names.index("exp") < names.index("aud") < names.index("scope")


def test_an_explanation_shows_every_row_and_stops_where_validate_does() -> None:
    explanation = validator().explain(token(aud="https://other"), client_id=CLIENT)
    states = {outcome.check.name: outcome.state for outcome in explanation}
    assert list(states) == [check.name for check in CHECKS]
    assert states["exp"] == "passed"
    assert states["nbf"] == "not asked"
    assert states["aud"] == "failed"
    assert states["client binding"] == "not reached"
    assert not explanation.accepted
    assert explanation.token is None
    text = str(explanation)
    assert 'aud              failed       "https://other"' in text
    assert "refused with CONNACK 4 (MQTT 5: 0x86): wrong-audience (aud)" in text
    assert str(validator().explain(token())).endswith("\n\naccepted")


def test_what_an_explanation_shows_is_escaped_and_short() -> None:
    hostile = "\x1b[31m\u202e" + "x" * 500
    explanation = validator().explain(token(iss=hostile))
    assert explanation.refusal is not None
    assert "\\x1b[31m\\u202exxx" in str(explanation)
    assert len(str(explanation.refusal.actual)) < 70
    assert "\x1b" not in str(explanation)


@pytest.mark.parametrize(
    "settings",
    [
        {"algorithms": "ES256"},
        {"algorithms": []},
        {"algorithms": ["ES256K"]},
        {"token_types": []},
        {"required_scopes": "mqtt.connect"},
        {"required_scopes": [""]},
        {"leeway": -1},
        {"leeway": "5"},
        {"leeway": None},
        {"leeway": float("nan")},
        {"algorithms": None},
        {"max_token_bytes": 0},
        {"max_token_bytes": float("inf")},
    ],
)
def test_a_setting_that_makes_the_checks_worthless_is_refused_at_start_up(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        validator(**settings)
    for issuer, audience in (("", AUDIENCE), (ISSUER, ""), (None, AUDIENCE), (ISSUER, [AUDIENCE])):
        with pytest.raises(ValueError, match="non-empty string"):
            TokenValidator(issuer, audience, jwks())  # type: ignore[arg-type]
    for keys in (None, [], b"https://issuer.example/keys", 42):
        with pytest.raises(ValueError, match="KeySource"):
            TokenValidator(ISSUER, AUDIENCE, keys)  # type: ignore[arg-type]


def test_a_clock_that_tells_nonsense_lets_nobody_in() -> None:
    class Broken:
        def now(self) -> float:
            return float("nan")

    assert refusal(token(), clock=Broken()).reason == "expired"


def test_other_scopes_can_be_required_or_none() -> None:
    accepts(token(scope=MISSING), required_scopes=())
    accepts(token(scope=""), required_scopes=())
    assert refusal(token(scope="a"), required_scopes=("a", "b")).expected == "b"


def test_looking_at_a_token_needs_no_key_and_proves_nothing() -> None:
    seen = peek_unverified(token(key=private_key("ES256", "stranger"), exp=0).encode())
    assert seen.header["alg"] == "ES256"
    assert seen.claims["exp"] == 0
    assert seen.signature_bytes == 64
    for unreadable in ("", "a.b", "é.a.b", b"\xff", "a" * 20_000, token() + "=", None, 5):
        with pytest.raises(InvalidToken):
            peek_unverified(unreadable)  # type: ignore[arg-type]
