"""The picture of a token: decoded, explained, with a verdict on its signature, and safe whatever it holds."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support_show import survives
from support_tokens import CLIENT, ISSUER, MISSING, b64, jwks, private_key, public_jwk, sign, validator
from support_tokens import token as signed

from labkit import Lab, show
from labkit.tokens import CHECKS, IntrospectionClient, JwksCache, StaticKeys

SCOPES = "mqtt.connect mqtt.publish:devices/thermostat-1/# mqtt.subscribe:devices/thermostat-1/#"
MADE_UP = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
MARKUP = [
    "<script>alert(1)</script>",
    "<b>",
    "</td></table>",
    '" onload="x',
    "&lt;",
    "' title='",
    "<!--",
    "]]>",
]
NAMES = st.text() | st.sampled_from([*MARKUP, "scope", "iat", "exp", "kid", "jti", "alg", ""])
relaxed = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
OBJECTS = st.dictionaries(NAMES, MADE_UP | st.sampled_from(MARKUP), max_size=6)


def unsigned(claims: Mapping[str, Any] | bytes, header: Mapping[str, Any] | bytes = b'{"alg":"none"}') -> str:
    """A token that nobody has signed."""
    parts = (part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, claims))
    return ".".join(map(b64, parts)) + "."


def lines(*arguments: Any) -> list[str]:
    picture = show.token(*arguments)
    survives(picture)
    return picture.text.split("\n")


def test_a_token_of_the_lab_is_told_the_same_on_every_run(lab: Lab) -> None:
    lab.register("thermostat-1", lifetime=300)
    first = show.token(lab.token("thermostat-1"))
    assert first.text == (
        "as it travels  eyJ… (110 characters) . eyJ… (364 characters) . … (86 characters)\n"
        "\n"
        "name         value                  meaning                    the broker's checks\n"
        "header (RFC 7515 §4.1, RFC 9068 §2.1)\n"
        "  typ        at+jwt                 kind of token              typ\n"
        "  alg        ES256                  signature algorithm        alg\n"
        "  kid        … (43 characters)      which key signed it        kid, key\n"
        "claims (RFC 7519 §4.1, RFC 9068 §2.2)\n"
        "  iss        http://127.0.0.1:PORT  issuer: who made it        iss\n"
        "  sub        thermostat-1           subject: whom it is about  sub\n"
        "  aud        https://mqtt.lab       audience: whom it is for   aud\n"
        "  client_id  thermostat-1           client: who asked for it   client_id, client binding\n"
        "  iat        the moment of issue    issued at                  iat\n"
        "  exp        300 s after issue      expires                    exp, lifetime\n"
        "  jti        … (28 characters)      its own number             jti\n"
        "  scope      mqtt.connect           what it allows             scope, required scopes\n"
        "             mqtt.publish:devices/thermostat-1/#\n"
        "             mqtt.subscribe:devices/thermostat-1/#\n"
        "signature (RFC 7515 §5.2)\n"
        "  64 bytes: not checked here                                   signature"
    )
    assert max(map(len, first.text.split("\n"))) <= 88
    with Lab() as other:
        other.clock.advance(hours=5)
        other.register("thermostat-1", lifetime=300)
        again = show.token(other.token("thermostat-1"))
    assert (again.text, again.html) == (first.text, first.html)
    assert {"header", "claims", "signature", "thermostat-1", "300", "keys"} - set(survives(first)) == {"keys"}


@pytest.mark.parametrize("of", ["lab", "keys", "validator", "jwks_uri", "jwks"])
def test_a_signature_is_verified_with_whatever_holds_the_keys(lab: Lab, of: str) -> None:
    lab.register("t-1")
    lab.register("t-2")
    keys = {"lab": lab, "jwks": httpx.get(lab.jwks_uri).json()}.get(of) or getattr(lab, of)
    token = lab.token("t-1")
    assert "  64 bytes: made with one of the given keys" in lines(token, keys)[-1]
    header, _, signature = token.split(".")
    swapped = ".".join([header, lab.token("t-2").split(".")[1], signature])
    assert [line.split("   ")[0] for line in lines(swapped, keys)[-2:]] == [
        "  64 bytes: they do not fit",
        "  the header or the claims were changed, or another key made it",
    ]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "64 bytes: made with one of the given keys"),
        ({"algorithm": "RS256"}, "256 bytes: made with one of the given keys"),
        ({"algorithm": "EdDSA"}, "64 bytes: made with one of the given keys"),
        ({"header": {"kid": MISSING}}, "64 bytes: made with one of the given keys"),
        ({"header": {"typ": "JWT"}}, "64 bytes: made with one of the given keys"),  # no question of the key
        ({"exp": 1}, "64 bytes: made with one of the given keys"),  # nor of the time
        ({"key": private_key("ES256", "thief")}, "64 bytes: they do not fit"),
        ({"signature": lambda _: b"x"}, "1 byte: they do not fit"),
        ({"signature": lambda _: b""}, "empty: nobody signed this"),
        ({"header": {"kid": "stranger"}}, "none of the given keys has this kid"),
        ({"header": {"kid": "RS256"}}, "none of the given keys is for this kid and this alg"),
        ({"header": {"alg": "HS256"}}, "none of the given keys is for this kid and this alg"),
        ({"header": {"alg": MISSING}}, "none of the given keys is for this kid and this alg"),
        ({"header": {"kid": MISSING, "alg": "PS256"}}, "it names no key"),
        ({"header": {"kid": ""}}, "its header cannot be used"),
        ({"header": {"crit": ["exp"]}}, "its header asks for an extension"),
        ({"header": {"zip": "DEF"}}, "encrypted or compressed"),
        ({"header": b"{"}, "a strict reader does not take this token: not JSON"),
    ],
)
def test_the_verdict_on_a_signature(changes: dict[str, Any], says: str) -> None:
    assert says in "\n".join(lines(signed(**changes), jwks())[-3:])


class Odd:
    """Something that has keys, and cannot be asked for them."""

    @property
    def keys(self) -> Any:
        raise RuntimeError("a secret in an error")

    def find(self, *_: Any) -> Any:
        return None


class Useless(Odd):
    def ready(self, *_: Any) -> bool:
        return True


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        (7, "no key set was given, but an object of type int"),
        (Odd(), "the keys cannot be read: RuntimeError"),
        (Useless(), "the keys cannot be read: AttributeError"),
        ({}, "a JWK set is an object with an array of objects"),
        (jwks(public_jwk("ES256", d="x")), "is private or symmetric"),
        (IntrospectionClient(ISSUER, "b", "s", ISSUER, "a"), "no key set was given, but an object"),
        ("http://example.com/jwks", "use https"),
        (JwksCache("http://127.0.0.1:9/"), "the authorization server, which has the keys, is out of reach"),
    ],
)
def test_keys_that_are_none_are_said_so(keys: object, says: str) -> None:
    told = lines(signed(), keys)
    assert any(line.startswith("  64 bytes: not checked ") for line in told)
    assert says in told[-1]
    assert "secret" not in told[-1]


def test_every_check_that_names_a_claim_is_told_beside_it() -> None:
    claims: dict[str, Any] = {"cnf": {"jkt": "x"}, "nbf": 1, "scope": SCOPES, "extra": 1}
    claims |= dict.fromkeys(["iss", "sub", "aud", "client_id", "iat", "exp", "jti"], 1)
    header = dict.fromkeys(["alg", "typ", "cty", "kid", "crit", "b64", "enc", "zip", "jku"], "x")
    told = {line.split()[0]: line for line in lines(unsigned(claims, header))[2:] if line.strip()}
    named = {row.claim for row in CHECKS if row.claim} | {"enc", "zip"}
    for name in named:
        assert not told[name].endswith("none"), name
    assert told["enc"].endswith("  enc, zip")
    assert told["cnf"].endswith("the key it is bound to     cnf")
    assert told["jku"].endswith("where to fetch keys        none")
    assert told["extra"].endswith("  none")


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ({"iat": 100, "exp": 3700}, "3600 s after issue"),
        ({"iat": 100, "exp": 40}, "60 s before issue"),
        ({"iat": 100, "nbf": 100}, "at issue"),
        ({"exp": 100}, "without iat"),
        ({"iat": "soon", "exp": True}, '"soon"'),
        ({"iat": 100, "exp": "1767225900"}, "exp  a number as text "),
        ({"iat": 1, "exp": 10**400}, "exp  a number beyond the year 9999 "),
        ({"iat": 1, "exp": 1_767_225_900_000}, "exp  a number beyond the year 9999 "),  # milliseconds
        ({"iss": "eyJ" + "x" * 40 + ".y.z"}, "eyJxxx…"),
        ({"sub": "a\x1b[2J\u202eb"}, "a�[2J�b"),
        ({"sub": "", "": 5}, '  sub  ""'),
        ({"": 5}, '  ""   5'),
        ({"aud": ["a", "b"]}, '["a", "b"]'),
        ({"scope": ["a", "b"]}, '["a", "b"]  what it allows'),
        ({f"n{number}": 0 for number in range(80)}, "  … 20 more"),
        ({"scope": " ".join("s" * 200)}, "… 140 more"),
        (b"[" * 900 + b"]" * 900, "claims (RFC 7519 §4.1, RFC 9068 §2.2)\n  no JSON object"),
        (
            b'{"a":' + b"[" * 960 + b"]" * 960 + b"}",
            "a strict reader does not take this token: nested deeper",
        ),
        (b'{"client_id":"a","client_id":"b"}', "a strict reader does not take this token: a name twice"),
        ({}, "  empty"),
    ],
)
def test_odd_claims(claims: dict[str, Any] | bytes, says: str) -> None:
    assert says in "\n".join(lines(unsigned(claims)))


def test_a_value_too_wide_for_its_column_moves_what_follows_to_the_next_line() -> None:
    issuer = "https://login.example.com/realms/factory-seven"
    told = lines(unsigned({"iss": issuer, "client_id": "t-1", "https://example.com/a/long/claim": 1}))
    start = told[2].index("meaning")
    place = told.index(f"  iss             {issuer}")
    assert told[place + 1] == " " * start + "issuer: who made it       iss"
    assert told[told.index("  https://example.com/a/long/claim") + 1].split() == ["1", "none"]
    assert max(map(len, told)) <= 88


@pytest.mark.parametrize(
    ("thing", "says"),
    [
        (None, "no token: an object of type NoneType"),
        ({"access_token": "x"}, "type dict; perhaps its access_token is one"),
        ("a.b", "no JWT: 2 parts, and a signed one has three, joined by dots"),
        ("", "no JWT: 1 part,"),
        ("a.b.c.d.e", "5 parts"),
        ("!.é.?", "cannot be decoded"),
        (b"\xff.W10.x", "no JSON object"),
    ],
)
def test_what_is_no_token_is_said_so(thing: object, says: str) -> None:
    assert says in "\n".join(lines(thing))


@relaxed
@given(st.text() | st.binary() | st.integers() | st.lists(st.text()), MADE_UP)
def test_showing_never_raises(thing: object, keys: object) -> None:
    assert lines(thing, keys)


def test_entries_that_nobody_asked_for_are_counted(lab: Lab) -> None:
    lab.register("thermostat-1", lifetime=300)
    picture = show.token(lab.token("thermostat-1"), lab, only=("client_id", "sub"))
    survives(picture)
    assert picture.text == (
        "as it travels  eyJ… (110 characters) . eyJ… (364 characters) . … (86 characters)\n"
        "\n"
        "name         value         meaning                    the broker's checks\n"
        "header (RFC 7515 §4.1, RFC 9068 §2.1)\n"
        "  … 3 more\n"
        "claims (RFC 7519 §4.1, RFC 9068 §2.2)\n"
        "  sub        thermostat-1  subject: whom it is about  sub\n"
        "  client_id  thermostat-1  client: who asked for it   client_id, client binding\n"
        "  … 6 more\n"
        "signature (RFC 7515 §5.2)\n"
        "  64 bytes: made with one of the given keys           signature"
    )
    assert "… 6 more" in picture.html
    assert "scope" not in picture.html
    assert "empty" in show.token(unsigned({}), only=("sub",)).text  # a remark is no entry


@relaxed
@given(st.lists(st.text(alphabet="eyJhbGciOi._-019=", max_size=30), min_size=3, max_size=3))
def test_what_looks_like_a_token_never_raises(parts: list[str]) -> None:
    assert lines(".".join(parts), jwks())


@relaxed
@given(OBJECTS, OBJECTS, st.binary(max_size=3), MADE_UP)
def test_whatever_a_token_holds_is_escaped(header: Any, claims: Any, signature: bytes, keys: object) -> None:
    token = f"{unsigned(claims, header)}{b64(signature)}"
    told = lines(token, keys)
    assert token not in "\n".join(told)
    assert all("\r" not in line and "\x1b" not in line for line in told)


@relaxed
@given(OBJECTS, st.binary(max_size=80))
def test_the_verdict_is_that_of_the_validator(claims: Any, damage: bytes) -> None:
    """It fits exactly when the broker's own check of the signature passes."""
    signing_input = unsigned(claims, {"typ": "at+jwt", "alg": "ES256", "kid": "ES256"})[:-1]
    made = sign(private_key("ES256"), "ES256", signing_input.encode())
    for signature in (made, damage):
        token = f"{signing_input}.{b64(signature)}"
        states = {each.check.name: each.state for each in validator().explain(token, client_id=CLIENT)}
        fits = any("made with one of the given keys" in line for line in lines(token, StaticKeys(jwks())))
        assert fits == (states["signature"] == "passed")


def test_hostile_html_is_shown_and_does_nothing() -> None:
    picture = show.token(unsigned({"iss": MARKUP[0], "<img src=x onerror=alert(1)>": "</pre></details>"}))
    survives(picture)
    assert picture.html is not None
    assert "<script" not in picture.html
    assert "<img" not in picture.html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in picture.html


def test_a_token_in_bytes_is_the_same_token() -> None:
    token = signed()
    assert show.token(token.encode()).html == show.token(token).html
    assert base64.urlsafe_b64encode(b"x").decode() not in show.token(token).text
