"""The forging tool: every attack is stopped by the check it names, and the good token is not."""

import hashlib
import hmac
import json
import logging
from typing import Any

import jwt
import pytest
from support_tokens import http_server

from labkit import forge
from labkit.clock import Clock
from labkit.errors import TokenRejected
from labkit.forge import CATALOGUE, MISSING, Attack, Issuer
from labkit.tokens import CHECKS, TokenValidator

NOW = 1_800_000_000
ISSUERS = {name: Issuer(algorithm=name, clock=Clock(lambda: NOW)) for name in ("ES256", "RS256", "EdDSA")}
#: Rows of the threat list that attack the token itself, and so have to be here.
THREATS = {"T01", "T02", "T03", "T04", "T05", "T06", "T07", "T08", "T09", "T10", "T15", "T28", "T29", "T30",
           "T33", "T34", "T41", "T42", "T43"}  # fmt: skip
NEEDS = {"nothing", "the public key", "a token", "the issuer"}
CASES = [
    pytest.param(attack, name, id=f"{attack.id}-{attack.name}-{name}")
    for attack in CATALOGUE
    for name in attack.algorithms
]


@pytest.mark.parametrize(("attack", "algorithm"), CASES)
def test_every_attack_is_stopped_by_the_check_that_it_names(attack: Attack, algorithm: str) -> None:
    issuer = ISSUERS[algorithm]
    judge = issuer.validator()
    forged = attack.build(issuer)
    client_id = attack.connects_as or issuer.client_id
    explanation = judge.explain(forged, client_id=client_id)
    stopped_by = [outcome.check.name for outcome in explanation if outcome.state == "failed"]
    if attack.stopped_by is None:
        assert stopped_by == []
        assert judge.validate(forged, client_id=client_id).jti == judge.validate(issuer.token()).jti
        assert forged != issuer.token()
    else:
        assert stopped_by == [attack.stopped_by]
        with pytest.raises(TokenRejected):
            judge.validate(forged, client_id=client_id)


@pytest.mark.parametrize("algorithm", ISSUERS)
def test_a_good_token_passes_in_the_same_place(algorithm: str) -> None:
    issuer = ISSUERS[algorithm]
    accepted = issuer.validator().validate(issuer.token(), client_id=issuer.client_id)
    assert (accepted.client_id, accepted.algorithm, accepted.jti) == (issuer.client_id, algorithm, "b7a1")
    # And for a library that is not ours.
    key = jwt.PyJWK(issuer.jwks["keys"][0])
    options: Any = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(issuer.token(), key, [algorithm], audience=issuer.audience, options=options)
    assert claims == issuer.claims()


def test_the_catalogue_covers_the_threats_that_attack_a_token() -> None:
    assert {attack.id for attack in CATALOGUE} == THREATS
    assert all(forge.of_threat(threat) for threat in THREATS)
    assert forge.of_threat("T99") == ()
    assert [attack.id for attack in CATALOGUE] == sorted(attack.id for attack in CATALOGUE)


def test_every_attack_says_what_it_is() -> None:
    names = [attack.name for attack in CATALOGUE]
    assert len(set(names)) == len(names)
    known = {check.name for check in CHECKS}
    for attack in CATALOGUE:
        assert attack.story.endswith(".")
        assert len(attack.story) > 40
        assert attack.spec
        assert attack.needs in NEEDS
        assert attack.stopped_by is None or attack.stopped_by in known
        assert str(attack) == f"{attack.id} {attack.name}"
        assert forge.named(attack.name) is attack
        assert "eyJ" not in repr(attack)
    with pytest.raises(LookupError, match="no attack is called 'nonsense'"):
        forge.named("nonsense")


def test_the_checks_that_no_attack_here_reaches_are_known() -> None:
    # Each of them has its forgeries in test_tokens_table.py; as attacks they have no story of their own.
    used = {attack.stopped_by for attack in CATALOGUE}
    assert {check.name for check in CHECKS} - used == {"lifetime", "sub", "client_id", "jti"}


def test_many_a_check_is_the_only_one_in_the_way() -> None:
    # Leave out the check that an attack names, and nothing else, and the attack succeeds.  The others have a
    # second check behind the first: a public key is no HMAC secret here, even if alg is let through.
    issuer = ISSUERS["ES256"]
    succeed = set()
    for attack in CATALOGUE:
        if attack.stopped_by is not None and "ES256" in attack.algorithms:

            class Careless(TokenValidator):
                checks = tuple(check for check in CHECKS if check.name != attack.stopped_by)

            judge = Careless(issuer.issuer, issuer.audience, issuer.jwks, ("ES256",), clock=issuer.clock)
            try:
                judge.validate(attack.build(issuer), client_id=attack.connects_as or issuer.client_id)
                succeed.add(attack)
            except Exception:  # it stumbles over what the missing check would have seen
                continue
    assert len(succeed) >= 30
    assert {attack.stopped_by for attack in succeed} >= {
        "client binding", "cnf", "aud", "iss", "typ", "signature", "exp", "nbf", "iat", "length", "crit",
        "b64", "required scopes",
    }  # fmt: skip
    assert not {attack.id for attack in succeed} & {"T06", "T07", "T09", "T15"}


def test_the_best_known_attacks_do_work_on_somebody_careless() -> None:
    # An attack that nobody would fall for proves nothing.
    issuer = ISSUERS["RS256"]
    careless: Any = {"verify_aud": False, "verify_iat": False}

    def claims_of(token: str) -> dict[str, Any]:
        return json.loads(jwt.utils.base64url_decode(token.split(".")[1]))

    def header_of(token: str) -> dict[str, Any]:
        return json.loads(jwt.utils.base64url_decode(token.split(".")[0]))

    for attack in forge.of_threat("T05")[:4]:  # reads alg, and checks nothing for none
        token = attack.build(issuer)
        assert header_of(token)["alg"].lower() == "none"
        assert token.endswith(".")
        assert claims_of(token) == issuer.claims()
    for attack in forge.of_threat("T06"):  # one key for both families
        if "RS256" in attack.algorithms and attack.name.startswith("HS256"):
            spelling = attack.name.partition("(")[2].rstrip(")")
            secret = forge.public_spellings(issuer.key, "RS256")[spelling]
            signed, _, signature = attack.build(issuer).rpartition(".")
            made = hmac.digest(secret, signed.encode(), hashlib.sha256)
            assert jwt.utils.base64url_decode(signature) == made
    token = forge.named("jwk in the header").build(issuer)  # takes the key from the header
    assert jwt.decode(token, jwt.PyJWK(header_of(token)["jwk"]), ["RS256"], options=careless)
    signed, _, signature = forge.named("HMAC with a secret from a word list").build(issuer).rpartition(".")
    made = hmac.digest(b"secret", signed.encode(), hashlib.sha256)
    assert jwt.utils.base64url_decode(signature) == made


def test_keys_in_the_header_point_to_the_canary_and_nobody_goes_there() -> None:
    with http_server() as canary:
        issuer = Issuer(clock=Clock(lambda: NOW), canary=canary.url)
        canary.body = json.dumps(issuer.thief_jwks).encode()
        for name in ("jku of the attacker", "x5u of the attacker"):
            token = forge.named(name).build(issuer)
            assert canary.url in jwt.get_unverified_header(token).values()
            assert not issuer.validator().explain(token).accepted
        assert canary.requests == []
        # What the attacker hopes for: with the canary's keys the token is good.
        key = jwt.PyJWK(issuer.thief_jwks["keys"][0])
        assert jwt.decode(token, key, ["ES256"], audience=issuer.audience, options={"verify_iat": False})


def test_token_takes_anything_apart() -> None:
    key = forge.new_key("ES256")
    plain = forge.token({"a": 1}, header={"kid": "k", "typ": MISSING}, key=key)
    assert jwt.get_unverified_header(plain) == {"alg": "ES256", "kid": "k"}
    assert jwt.decode(plain, key.public_key(), ["ES256"]) == {"a": 1}
    assert forge.token(b"\xff", header=b"{}", signature=b"abc") == "e30._w.YWJj"
    assert forge.token({"a": MISSING}, signature=lambda data: data[:3]).endswith(
        f".{forge.base64url(b'eyJ')}"
    )
    assert forge.token({}).count(".") == 2  # signed by a stranger
    for algorithm in (
        "ES256",
        "ES384",
        "ES512",
        "RS256",
        "RS384",
        "RS512",
        "PS256",
        "PS384",
        "PS512",
        "EdDSA",
    ):
        signer = forge.key_of("anybody", algorithm)
        assert signer is forge.key_of("anybody", algorithm)
        jwk = forge.public_jwk(signer, algorithm, kid="x", use=MISSING)
        assert "use" not in jwk
        assert jwt.decode(forge.token({"a": 1}, key=signer, algorithm=algorithm), jwt.PyJWK(jwk), [algorithm])


def test_no_builder_prints_logs_or_shows_a_key(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        for attack in CATALOGUE:
            attack.build(ISSUERS["ES256" if "ES256" in attack.algorithms else "RS256"])
    assert capfd.readouterr() == ("", "")
    assert caplog.text == ""
    assert repr(ISSUERS["ES256"]) == "<Issuer https://issuer.example for https://mqtt.lab, ES256>"
