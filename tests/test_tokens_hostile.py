"""Whatever comes in: the validator judges as a second, independent opinion does, and never stumbles."""

import base64
import json
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support_tokens import AUDIENCE, CLIENT, ISSUER, MISSING, NOW, THREE, claims, token, validator

from labkit.errors import TokenRejected
from labkit.tokens import AccessToken, peek_unverified

JUDGE = validator()
GOOD = {algorithm: token(algorithm) for algorithm in THREE}
algorithms = st.sampled_from(THREE)
relaxed = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**40), max_value=10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from([ISSUER, AUDIENCE, CLIENT, NOW, NOW + 1, NOW - 1, "mqtt.connect", [AUDIENCE]]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


def verdict(text: Any) -> AccessToken | TokenRejected:
    """What the validator says; ``validate``, ``explain`` and ``ready_for`` have to agree."""
    assert JUDGE.ready_for(text) is True
    explanation = JUDGE.explain(text, client_id=CLIENT)
    assert str(explanation)
    said: AccessToken | TokenRejected
    try:
        said = JUDGE.validate(text, client_id=CLIENT)
    except TokenRejected as refused:
        said = refused
    if isinstance(said, TokenRejected):
        assert str(explanation.refusal) == str(said)
        assert said.return_code in (4, 5)
    else:
        assert explanation.accepted
        assert explanation.token == said
    return said


@relaxed
@given(st.text() | st.binary() | st.from_regex(r"[\w-]*\.[\w-]*\.[\w-]*", fullmatch=True))
def test_arbitrary_text_and_bytes_are_refused(text: str | bytes) -> None:
    assert isinstance(verdict(text), TokenRejected)


@relaxed
@given(json_values)
def test_arbitrary_objects_are_refused(thing: Any) -> None:
    assert isinstance(verdict(thing), TokenRejected)


@relaxed
@given(algorithms, st.data())
def test_a_damaged_token_is_refused(algorithm: str, data: st.DataObject) -> None:
    good = GOOD[algorithm]
    start = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(start, min(len(good), start + 8)))
    damaged = good[:start] + data.draw(st.text(max_size=4)) + good[end:]
    if damaged != good:
        assert isinstance(verdict(damaged), TokenRejected)
        assert isinstance(verdict(damaged.encode("utf-8", "surrogatepass")), TokenRejected)


@relaxed
@given(algorithms, st.integers(0, 10_000), st.integers(0, 7))
def test_a_flipped_bit_is_refused(algorithm: str, position: int, bit: int) -> None:
    good = bytearray(GOOD[algorithm].encode())
    good[position % len(good)] ^= 1 << bit
    assert isinstance(verdict(bytes(good)), TokenRejected)


@relaxed
@given(algorithms, st.binary(max_size=600))
def test_a_made_up_signature_is_refused(algorithm: str, signature: bytes) -> None:
    assert isinstance(verdict(token(algorithm, signature=lambda _: signature)), TokenRejected)


@relaxed
@given(
    algorithms,
    st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "b64", "zip", "enc", "x"]), json_values),
)
def test_headers_are_judged_as_a_second_opinion_does(algorithm: str, changes: dict[str, Any]) -> None:
    header = {"alg": algorithm, "typ": "at+jwt", "kid": algorithm} | changes
    good = (
        header["alg"] == algorithm
        and header["kid"] == algorithm
        and str(header["typ"]).lower() in ("at+jwt", "application/at+jwt")
        and not {"crit", "zip", "enc"} & set(changes)
        and header.get("b64", True) is True
    )
    assert isinstance(verdict(token(algorithm, header=changes)), AccessToken) == good


def is_date(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e12 < value < 253402300800


SCOPE_LETTERS = {chr(code) for code in range(0x21, 0x7F)} - {'"', "\\"}


def second_opinion(c: dict[str, Any]) -> bool:
    """RFC 9068 §4 and the lab's own rules, written down without looking at the table."""
    aud = c.get("aud")
    scope = c.get("scope", "")
    return (
        c.get("iss") == ISSUER
        and (aud == AUDIENCE or (isinstance(aud, list) and AUDIENCE in aud and {str} == set(map(type, aud))))
        and is_date(c.get("exp")) and c["exp"] > NOW
        and is_date(c.get("iat")) and c["iat"] <= NOW
        and ("nbf" not in c or (is_date(c["nbf"]) and c["nbf"] <= NOW))
        and isinstance(c.get("sub"), str) and c["sub"] != ""
        and isinstance(c.get("jti"), str) and c["jti"] != ""
        and c.get("client_id") == CLIENT
        and isinstance(scope, str) and "mqtt.connect" in scope.split(" ")
        and all(word and not set(word) - SCOPE_LETTERS for word in scope.split(" "))
        and "cnf" not in c
    )  # fmt: skip


NAMES = ("iss", "aud", "exp", "iat", "nbf", "sub", "jti", "client_id", "scope", "cnf", "act", "x")


@settings(relaxed, max_examples=400)
@given(algorithms, st.dictionaries(st.sampled_from(NAMES), json_values | st.just(MISSING), max_size=4))
def test_claims_are_judged_as_a_second_opinion_does(algorithm: str, changes: dict[str, Any]) -> None:
    expected = second_opinion(claims(**changes))
    assert isinstance(verdict(token(algorithm, **changes)), AccessToken) == expected


@relaxed
@given(algorithms, st.sampled_from(NAMES), json_values | st.just(MISSING))
def test_one_changed_claim_is_judged_as_a_second_opinion_does(algorithm: str, name: str, value: Any) -> None:
    expected = second_opinion(claims(**{name: value}))
    assert isinstance(verdict(token(algorithm, **{name: value})), AccessToken) == expected


@relaxed
@given(algorithms, st.binary(max_size=200))
def test_a_signed_payload_of_arbitrary_bytes_is_refused(algorithm: str, payload: bytes) -> None:
    assert isinstance(verdict(token(algorithm, payload=payload)), TokenRejected)


@relaxed
@given(algorithms, st.integers(0, 10_000), st.binary(max_size=3))
def test_a_signed_payload_with_damage_never_upsets(algorithm: str, position: int, insert: bytes) -> None:
    good = json.dumps(claims()).encode()
    position %= len(good) + 1
    verdict(token(algorithm, payload=good[:position] + insert + good[position:]))


@relaxed
@given(st.text() | st.binary())
def test_looking_at_anything_raises_nothing_else(text: str | bytes) -> None:
    with pytest.raises(TokenRejected):
        peek_unverified(text)


def test_deep_nesting_inside_a_deep_stack_is_refused_and_not_a_crash() -> None:
    nested = token(payload=b'{"x":' + b"[" * 60 + b"]" * 60 + b"," + json.dumps(claims()).encode()[1:])

    def deeper(levels: int) -> Any:
        return verdict(nested) if levels == 0 else deeper(levels - 1)

    assert isinstance(deeper(500), AccessToken)


@pytest.mark.parametrize("filling", ['\\"', '"', "[", "{", '[{"', "\\", '"\\', "9", '"\\u0041'])
def test_no_header_takes_long_to_refuse(filling: str) -> None:
    for start in ("[" * 70, "[" * 70 + '"', '{"a":', '{"'):
        header = (start + filling * (11_500 // len(filling))).encode()
        started = time.process_time()
        assert isinstance(verdict(token(header=header)), TokenRejected)
        assert time.process_time() - started < 0.5


def test_every_token_has_only_one_spelling() -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for algorithm in THREE:
        head, payload, signature = GOOD[algorithm].split(".")
        wanted = base64.urlsafe_b64decode(signature + "==")
        others = [signature[:-1] + letter for letter in alphabet]
        same = [other for other in others if base64.urlsafe_b64decode(other + "==") == wanted]
        assert len(same) > 1
        accepted = [o for o in same if isinstance(verdict(f"{head}.{payload}.{o}"), AccessToken)]
        assert accepted == [signature]
