"""Both judges at once: the token by itself, then the authorization server about it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support_tokens import (
    AUDIENCE,
    CLIENT,
    ISSUER,
    MISSING,
    NOW,
    Answers,
    claims,
    frozen,
    http_server,
    jwks,
    private_key,
    token,
)

from labkit.clock import Clock
from labkit.errors import InvalidToken, NotAllowed, TokenRejected, Undecided
from labkit.tokens import (
    CHECKS,
    COMBINED_CHECKS,
    MODES,
    CombinedValidator,
    IntrospectionClient,
    TokenValidator,
    new_validator,
)


def answer(server: Answers, **changes: Any) -> None:
    server.body = json.dumps(claims(**{"active": True, "token_type": "Bearer"} | changes)).encode()


@pytest.fixture
def server() -> Iterator[Answers]:
    with http_server() as answers:
        answer(answers)
        yield answers


@pytest.fixture
def now() -> Clock:
    return frozen()


def both(server: Answers, clock: Clock, **settings: Any) -> CombinedValidator:
    asking = IntrospectionClient(
        server.url, "broker", "s3cret", ISSUER, AUDIENCE, clock=clock, timeout=5, **settings
    )
    return CombinedValidator(TokenValidator(ISSUER, AUDIENCE, jwks(), clock=clock), asking)


@pytest.fixture
def judge(server: Answers, now: Clock) -> Iterator[CombinedValidator]:
    with both(server, now) as each:
        yield each


def refusal(judge: CombinedValidator, text: Any = None, client_id: str = CLIENT) -> TokenRejected:
    text = token() if text is None else text
    with pytest.raises(TokenRejected) as refused:
        judge.validate(text, client_id=client_id)
    explanation = judge.explain(text, client_id=client_id)
    assert str(explanation.refusal) == str(refused.value)
    return refused.value


def test_a_token_that_both_find_good_is_good(judge: CombinedValidator, server: Answers) -> None:
    facts = judge.validate(token(), client_id=CLIENT)
    assert (facts.client_id, facts.key_id, facts.algorithm) == (CLIENT, "ES256", "ES256")
    assert facts.confirmed_at == NOW
    assert facts.expires_at == NOW + 290
    assert len(server.requests) == 1
    assert judge.ready_for(token()) is False  # another signature, another token
    explanation = judge.explain(token(), client_id=CLIENT)
    assert explanation.accepted
    assert [each.check for each in explanation] == list(COMBINED_CHECKS)
    found = {each.check.name: each.found for each in explanation if each.check.where == "answer"}
    assert found == {"active": "true", "token_type": '"Bearer"', "agreement": None}


@pytest.mark.parametrize(
    "bad",
    [
        token(key=private_key("ES256", "stranger")),
        token(exp=NOW),
        token(aud="https://other"),
        token(client_id="mallory"),
        "opaque-tokens-say-nothing",
        "",
        None,
    ],
)
def test_what_is_bad_by_itself_costs_the_server_nothing(
    judge: CombinedValidator, server: Answers, bad: Any
) -> None:
    assert isinstance(refusal(judge, bad if bad is not None else b"\xff"), InvalidToken | NotAllowed)
    assert server.requests == []


@pytest.mark.conformance("RS-31")
@pytest.mark.parametrize("active", [False, "true", 1, None, [True], {}, MISSING])
def test_only_json_true_counts(judge: CombinedValidator, server: Answers, active: Any) -> None:
    answer(server, active=active)
    error = refusal(judge)
    assert (error.reason, error.return_code) == ("inactive", 4)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other"},
        {"sub": "mallory"},
        {"client_id": "mallory"},
        {"client_id": [CLIENT]},
        {"jti": "another"},
        {"aud": "https://other"},
        {"aud": ["https://other", 1]},
        {"aud": None},
        {"exp": NOW},
        {"exp": str(NOW + 290)},
        {"exp": None},
    ],
)
def test_an_answer_that_contradicts_the_token_is_about_another_one(
    judge: CombinedValidator, server: Answers, changes: dict[str, Any]
) -> None:
    answer(server, **changes)
    error = refusal(judge)
    assert (error.reason, type(error), error.return_code) == ("answers-differ", InvalidToken, 4)
    assert next(iter(changes)) in str(error)


def test_most_of_the_answer_may_be_left_out(judge: CombinedValidator, server: Answers) -> None:
    server.body = b'{"active":true}'  # RFC 7662 §2.2: the rest is optional
    facts = judge.validate(token(), client_id=CLIENT)
    assert facts.jti == "b7a1"
    assert facts.permissions.may_publish(f"devices/{CLIENT}/up")


def test_an_answer_may_take_away_and_never_adds(judge: CombinedValidator, server: Answers) -> None:
    answer(server, exp=NOW + 60, scope="mqtt.connect mqtt.publish:#")
    facts = judge.validate(token(), client_id=CLIENT)
    assert facts.expires_at == NOW + 60
    assert facts.scopes == ("mqtt.connect",)
    answer(server, exp=NOW + 3000)
    assert judge.validate(token(), client_id=CLIENT).expires_at == NOW + 290
    for scope in ("", "mqtt.publish:a", ["mqtt.connect"], None, 5):
        answer(server, scope=scope)
        error = refusal(judge)
        assert (error.reason, error.return_code) == ("missing-scope", 5)


@pytest.mark.conformance("RS-33")
def test_without_an_answer_the_door_stays_shut(judge: CombinedValidator, server: Answers) -> None:
    server.status = 503
    error = refusal(judge)
    assert isinstance(error, Undecided)
    assert (error.reason, error.return_code) == ("introspection-unavailable", 3)


@pytest.mark.conformance("RS-32")
def test_an_answer_is_used_again_for_a_while_and_asking_again_does_not_wait_for_that(
    judge: CombinedValidator, server: Answers, now: Clock
) -> None:
    text = token()
    judge.validate(text, client_id=CLIENT)
    assert judge.ready_for(text)
    now.advance(seconds=9)
    assert judge.validate(text, client_id=CLIENT).confirmed_at == NOW
    assert len(server.requests) == 1
    assert judge.ask_again(text, client_id=CLIENT).confirmed_at == NOW + 9
    assert len(server.requests) == 2
    now.advance(seconds=9)  # the new answer counts from when it was asked for
    assert judge.validate(text, client_id=CLIENT).confirmed_at == NOW + 9
    answer(server, active=False)
    with pytest.raises(InvalidToken, match="inactive"):
        judge.ask_again(text, client_id=CLIENT)
    assert not judge.ready_for(text)  # and what was kept is forgotten
    assert refusal(judge, text).reason == "inactive"


def test_asking_again_in_vain_changes_nothing(judge: CombinedValidator, server: Answers, now: Clock) -> None:
    text = token()
    judge.validate(text, client_id=CLIENT)
    server.status = 503
    with pytest.raises(Undecided):
        judge.ask_again(text, client_id=CLIENT)
    assert judge.validate(text, client_id=CLIENT).confirmed_at == NOW


def test_a_closed_judge_is_undecided(judge: CombinedValidator) -> None:
    judge.close()
    assert isinstance(refusal(judge), Undecided)


@pytest.mark.conformance("RS-35")
def test_no_text_holds_a_token_or_a_secret(judge: CombinedValidator) -> None:
    text = token()
    texts = [repr(judge), str(judge.explain(text)), repr(judge.validate(text)), repr(vars(judge))]
    for each in texts:
        for secret in (text, text.rpartition(".")[2], "s3cret"):
            assert secret not in each


def test_the_rows_are_those_of_the_table_and_each_is_there_once() -> None:
    names = [row.name for row in COMBINED_CHECKS]
    assert len(names) == len(set(names))
    assert set(CHECKS) < set(COMBINED_CHECKS)
    assert names[-4:] == ["active", "token_type", "agreement", "required scopes"]


def test_the_two_judges_stand_for_one_relying_party(server: Answers) -> None:
    asking = IntrospectionClient(server.url, "broker", "s3cret", ISSUER, "https://other")
    with pytest.raises(ValueError, match="one issuer"):
        CombinedValidator(TokenValidator(ISSUER, AUDIENCE, jwks()), asking)


def test_one_word_chooses_the_judge(server: Answers) -> None:
    settings: Any = {
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "keys": server.url,
        "endpoint": server.url,
        "client_id": "broker",
        "client_secret": "s3cret",
    }
    judges = [new_validator(mode, **settings) for mode in MODES]
    assert [type(each) for each in judges] == [TokenValidator, IntrospectionClient, CombinedValidator]
    for each in judges:
        assert (each.issuer, each.audience) == (ISSUER, AUDIENCE)
        each.close()
        each.close()
    with pytest.raises(ValueError, match="choose jwt, introspection, both"):
        new_validator("guess", **settings)
    for ttl in (-1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="ttl"):
            new_validator("both", **settings, ttl=ttl)
