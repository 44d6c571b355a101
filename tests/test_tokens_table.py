# ruff: noqa: E501 - the table of forgeries reads better unwrapped
"""The table of checks, row by row: each is broken at least once, and says what the table says."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from support_tokens import (
    AUDIENCE,
    CLIENT,
    ISSUER,
    MISSING,
    NOW,
    THREE,
    b64,
    claims,
    private_key,
    public_jwk,
    sign,
    token,
    validator,
)

from labkit.errors import NotAllowed, TokenRejected
from labkit.tokens import CHECKS

ROWS = {check.name: check for check in CHECKS}


def unsecured(alg: str = "none", **changes: Any) -> str:
    return token(header={"alg": alg}, signature=lambda _: b"", **changes)


#: Ways to break each row.  A function gets the algorithm and makes the token.
FORGERIES: dict[str, dict[str, Callable[[str], Any]]] = {
    "length": {"one byte too long": lambda alg: "a" * 16_385, "as bytes": lambda alg: b"." * 1_000_000},
    "text": {
        "empty": lambda alg: "",
        "no text at all": lambda alg: None,
        "a number": lambda alg: 12,
        "a bytearray": lambda alg: bytearray(token(alg).encode()),
        "line end": lambda alg: token(alg) + "\n",
        "NUL": lambda alg: token(alg) + "\0",
        "no-break space": lambda alg: token(alg) + "\u00a0",
        "lone surrogate": lambda alg: "\ud800" + token(alg),
        "byte above 127": lambda alg: token(alg).encode() + b"\xff",
        "UTF-16": lambda alg: token(alg).encode("utf-16"),
        "full-width letters": lambda alg: token(alg).replace("e", "\uff45", 1),
    },
    "segments": {
        "one": lambda alg: "abc",
        "two": lambda alg: token(alg).rpartition(".")[0],
        "four": lambda alg: token(alg) + ".",
        "JWE": lambda alg: token(alg) + ".a.b",
        "JSON serialisation": lambda alg: json.dumps({"payload": "e30", "signatures": []}),
        "prefix Bearer": lambda alg: "a.b.c." + token(alg),
    },
    "base64url": {
        "padding": lambda alg: token(alg) + "=",
        "full padding": lambda alg: token(alg) + "==",
        "space inside": lambda alg: token(alg).replace(".", ". ", 1),
        "space at the end": lambda alg: token(alg) + " ",
        "plus": lambda alg: "+" + token(alg)[1:],
        "slash": lambda alg: token(alg)[:-1] + "/",
        "prefix Bearer": lambda alg: "Bearer " + token(alg),
        "impossible length": lambda alg: token(alg, signature=lambda _: b"abc") + "A",
        "other spelling of the signature": lambda alg: other_spelling(token(alg)),
    },
    "header": {
        "empty": lambda alg: "." + token(alg).partition(".")[2],
        "an array": lambda alg: token(alg, header=b'["alg"]'),
        "UTF-16": lambda alg: token(alg, header=json.dumps({"alg": alg}).encode("utf-16")),
        "byte order mark": lambda alg: token(alg, header=b"\xef\xbb\xbf" + good_header(alg)),
        "duplicate name": lambda alg: token(alg, header=b'{"alg":"none",' + good_header(alg)[1:]),
        "duplicate name by escape": lambda alg: token(alg, header=b'{"\\u0061lg":"none",' + good_header(alg)[1:]),
        "text after it": lambda alg: token(alg, header=good_header(alg) + b"{}"),
        "NaN": lambda alg: token(alg, header=b'{"x":NaN,' + good_header(alg)[1:]),
        "nesting": lambda alg: token(alg, header=b'{"x":' + b"[" * 5000 + b"]" * 5000 + b"," + good_header(alg)[1:]),
        "single quotes": lambda alg: token(alg, header=good_header(alg).replace(b'"', b"'")),
    },
    "crit": {
        "unknown": lambda alg: token(alg, header={"crit": ["exp"], "exp": 1}),
        "empty list": lambda alg: token(alg, header={"crit": []}),
        "null": lambda alg: token(alg, header={"crit": None}),
        "standard name": lambda alg: token(alg, header={"crit": ["alg"]}),
        "b64": lambda alg: token(alg, header={"crit": ["b64"], "b64": True}),
        "no list": lambda alg: token(alg, header={"crit": "exp"}),
    },
    "b64": {
        "false": lambda alg: token(alg, header={"b64": False}),
        "zero": lambda alg: token(alg, header={"b64": 0}),
        "null": lambda alg: token(alg, header={"b64": None}),
    },
    "enc, zip": {
        "zip": lambda alg: token(alg, header={"zip": "DEF"}),
        "enc": lambda alg: token(alg, header={"enc": "A128GCM"}),
    },
    "alg": {
        **{f"unsecured {n}": lambda alg, n=n: unsecured(n) for n in ("none", "None", "NONE", "nOnE", "none ", "")},
        **{f"HMAC {n}": lambda alg, n=n: token(alg, header={"alg": n}) for n in ("HS256", "HS384", "HS512")},
        "missing": lambda alg: token(alg, header={"alg": MISSING}),
        "null": lambda alg: token(alg, header={"alg": None}),
        "a list": lambda alg: token(alg, header={"alg": [alg]}),
        "other case": lambda alg: token(alg, header={"alg": alg.swapcase()}),
        "not in the allow-list": lambda alg: token("PS256", header={"kid": "RS256"}, key=private_key("RS256")),
    },
    "typ": {
        "missing": lambda alg: token(alg, header={"typ": MISSING}),
        "ID token": lambda alg: token(alg, header={"typ": "JWT"}),
        "proof": lambda alg: token(alg, header={"typ": "dpop+jwt"}),
        "client assertion": lambda alg: token(alg, header={"typ": "client-authentication+jwt"}),
        "introspection": lambda alg: token(alg, header={"typ": "token-introspection+jwt"}),
        "parameter": lambda alg: token(alg, header={"typ": "at+jwt; v=1"}),
        "space": lambda alg: token(alg, header={"typ": "at+jwt "}),
        "other tree": lambda alg: token(alg, header={"typ": "text/at+jwt"}),
        "full-width": lambda alg: token(alg, header={"typ": "\uff41t+jwt"}),
        "a list": lambda alg: token(alg, header={"typ": ["at+jwt"]}),
        "empty": lambda alg: token(alg, header={"typ": ""}),
    },
    "cty": {
        "nested": lambda alg: token(alg, header={"cty": "JWT"}),
        "lower case": lambda alg: token(alg, header={"cty": "jwt"}),
        "media type": lambda alg: token(alg, header={"cty": "application/JWT"}),
    },
    "kid": {
        "null": lambda alg: token(alg, header={"kid": None}),
        "a number": lambda alg: token(alg, header={"kid": 1}),
        "a list": lambda alg: token(alg, header={"kid": [alg]}),
        "empty": lambda alg: token(alg, header={"kid": ""}),
        "long": lambda alg: token(alg, header={"kid": "k" * 257}),
        "line end": lambda alg: token(alg, header={"kid": f"{alg}\r\nSet-Cookie: a=b"}),
        "NUL": lambda alg: token(alg, header={"kid": f"{alg}\0"}),
    },
    "key": {
        "unknown": lambda alg: token(alg, header={"kid": "strange"}),
        "path": lambda alg: token(alg, header={"kid": "../../dev/null"}),
        "SQL": lambda alg: token(alg, header={"kid": "' OR 1=1 --"}),
        "other case": lambda alg: token(alg, header={"kid": alg.swapcase()}),
        "key of another algorithm": lambda alg: token(alg, header={"kid": next(n for n in THREE if n != alg)}),
    },
    "signature": {
        "key of a stranger": lambda alg: token(alg, key=private_key(alg, "stranger")),
        "stripped": lambda alg: token(alg, signature=lambda _: b""),
        "zeros": lambda alg: token(alg, signature=lambda _: bytes(64)),
        "changed payload": lambda alg: swap_payload(token(alg), claims(client_id="victim")),
        "changed header": lambda alg: swap_header(token(alg), {"typ": "at+jwt", "alg": alg, "kid": alg, "x": 1}),
        "of another token": lambda alg: token(alg).rpartition(".")[0] + "." + token(alg, jti="c").rpartition(".")[2],
        "too long": lambda alg: token(alg, signature=lambda data: sign(private_key(alg), alg, data) + b"\0"),
        "too short": lambda alg: token(alg, signature=lambda data: sign(private_key(alg), alg, data)[:-1]),
        "own key in jwk": lambda alg: token(
            alg, key=private_key(alg, "stranger"), header={"jwk": public_jwk(alg, "stranger")}
        ),
        "own key at jku": lambda alg: token(
            alg, key=private_key(alg, "stranger"), header={"jku": "http://127.0.0.1:9/jwks"}
        ),
    },
    "claims": {
        "an array": lambda alg: token(alg, payload=b"[]"),
        "a string": lambda alg: token(alg, payload=b'"iss"'),
        "null": lambda alg: token(alg, payload=b"null"),
        "empty": lambda alg: token(alg, payload=b""),
        "white space": lambda alg: token(alg, payload=b" "),
        "duplicate": lambda alg: token(alg, payload=b'{"sub":"root",' + good_payload()[1:]),
        "duplicate deeper down": lambda alg: token(alg, payload=b'{"x":[{"a":1,"a":2}],' + good_payload()[1:]),
        "UTF-16": lambda alg: token(alg, payload=good_payload().decode().encode("utf-16-le")),
        "UTF-32": lambda alg: token(alg, payload=good_payload().decode().encode("utf-32")),
        "Latin-1": lambda alg: token(alg, payload=b'{"x":"\xe4",' + good_payload()[1:]),
        "overlong UTF-8": lambda alg: token(alg, payload=b'{"x":"\xc0\xae",' + good_payload()[1:]),
        "byte order mark": lambda alg: token(alg, payload=b"\xef\xbb\xbf" + good_payload()),
        "text after it": lambda alg: token(alg, payload=good_payload() + b"x"),
        "NUL after it": lambda alg: token(alg, payload=good_payload() + b"\0"),
        "second object": lambda alg: token(alg, payload=good_payload() + good_payload()),
        "NaN": lambda alg: token(alg, payload=b'{"x":NaN,' + good_payload()[1:]),
        "Infinity": lambda alg: token(alg, payload=b'{"exp":Infinity}'),
        "lone surrogate": lambda alg: token(alg, payload=b'{"x":"\\ud800",' + good_payload()[1:]),
        "lone surrogate as a name": lambda alg: token(alg, payload=b'{"\\udfff":1,' + good_payload()[1:]),
        "nesting": lambda alg: token(alg, payload=b'{"x":' + b"[" * 4000 + b"]" * 4000 + b"," + good_payload()[1:]),
        "comment": lambda alg: token(alg, payload=good_payload() + b"// end"),
        "trailing comma": lambda alg: token(alg, payload=good_payload()[:-1] + b",}"),
        "control character": lambda alg: token(alg, payload=b'{"x":"\n",' + good_payload()[1:]),
    },
    "iss": {
        "missing": lambda alg: token(alg, iss=MISSING),
        "other": lambda alg: token(alg, iss="http://127.0.0.1:10"),
        "slash": lambda alg: token(alg, iss=ISSUER + "/"),
        "case": lambda alg: token(alg, iss=ISSUER.upper()),
        "prefix": lambda alg: token(alg, iss=ISSUER[:-1]),
        "a list": lambda alg: token(alg, iss=[ISSUER]),
        "null": lambda alg: token(alg, iss=None),
    },
    "exp": {
        "missing": lambda alg: token(alg, exp=MISSING),
        "past": lambda alg: token(alg, exp=NOW - 1),
        "now": lambda alg: token(alg, exp=NOW),
        "fraction": lambda alg: token(alg, exp=NOW - 0.001),
        "zero": lambda alg: token(alg, exp=0),
        "negative": lambda alg: token(alg, exp=-1),
        "a string": lambda alg: token(alg, exp="9999999999"),
        "true": lambda alg: token(alg, exp=True),
        "null": lambda alg: token(alg, exp=None),
        "a list": lambda alg: token(alg, exp=[NOW + 9]),
        "an object": lambda alg: token(alg, exp={}),
        "milliseconds": lambda alg: token(alg, exp=NOW * 1000),
        "very large": lambda alg: token(alg, exp=10**30),
        "too large for a float": lambda alg: token(alg, payload=good_payload(b"1e400")),
        "thousands of digits": lambda alg: token(alg, payload=good_payload(b"9" * 5000)),
        "hundreds of digits": lambda alg: token(alg, exp=10**399),
    },
    "nbf": {
        "future": lambda alg: token(alg, nbf=NOW + 1),
        "fraction": lambda alg: token(alg, nbf=NOW + 0.5),
        "a string": lambda alg: token(alg, nbf=str(NOW - 9)),
        "true": lambda alg: token(alg, nbf=True),
        "null": lambda alg: token(alg, nbf=None),
        "very small": lambda alg: token(alg, nbf=-(10**30)),
    },
    "iat": {
        "missing": lambda alg: token(alg, iat=MISSING),
        "future": lambda alg: token(alg, iat=NOW + 1),
        "a string": lambda alg: token(alg, iat=str(NOW)),
        "true": lambda alg: token(alg, iat=True),
        "null": lambda alg: token(alg, iat=None),
        "minus infinity": lambda alg: token(alg, payload=b'{"iat":-1e999,' + json.dumps(claims(iat=MISSING)).encode()[1:]),
    },
    "lifetime": {  # seen only where leeway has let the others pass
        "expires before it was issued": lambda alg: token(alg, iat=NOW - 5, exp=NOW - 6),
        "expires when it was issued": lambda alg: token(alg, iat=NOW - 5, exp=NOW - 5),
    },
    "aud": {
        "missing": lambda alg: token(alg, aud=MISSING),
        "other": lambda alg: token(alg, aud="https://api.lab"),
        "slash": lambda alg: token(alg, aud=AUDIENCE + "/"),
        "longer": lambda alg: token(alg, aud=AUDIENCE + ".example"),
        "case": lambda alg: token(alg, aud=AUDIENCE.upper()),
        "in one string": lambda alg: token(alg, aud=f"{AUDIENCE} https://api.lab"),
        "empty list": lambda alg: token(alg, aud=[]),
        "list of others": lambda alg: token(alg, aud=["a", "b"]),
        "list with a number": lambda alg: token(alg, aud=[AUDIENCE, 1]),
        "list in a list": lambda alg: token(alg, aud=[[AUDIENCE]]),
        "an object": lambda alg: token(alg, aud={AUDIENCE: True}),
        "null": lambda alg: token(alg, aud=None),
    },
    **{
        name: {
            "missing": lambda alg, name=name: token(alg, **{name: MISSING}),
            "empty": lambda alg, name=name: token(alg, **{name: ""}),
            "a number": lambda alg, name=name: token(alg, **{name: 7}),
            "null": lambda alg, name=name: token(alg, **{name: None}),
            "a list": lambda alg, name=name: token(alg, **{name: [CLIENT]}),
        }
        for name in ("sub", "client_id", "jti")
    },
    "scope": {
        "a list": lambda alg: token(alg, scope=["mqtt.connect"]),
        "null": lambda alg: token(alg, scope=None),
        "tab": lambda alg: token(alg, scope="mqtt.connect\tmqtt.publish:a"),
        "line end": lambda alg: token(alg, scope="mqtt.connect\n"),
        "no-break space": lambda alg: token(alg, scope="mqtt.connect\u00a0x"),
        "two spaces": lambda alg: token(alg, scope="mqtt.connect  x"),
        "space in front": lambda alg: token(alg, scope=" mqtt.connect"),
        "quotation mark": lambda alg: token(alg, scope='mqtt.connect "'),
        "backslash": lambda alg: token(alg, scope="mqtt.connect \\"),
        "non-ASCII": lambda alg: token(alg, scope="mqtt.connect größe"),
    },
    "cnf": {
        "DPoP": lambda alg: token(alg, cnf={"jkt": "abc"}),
        "certificate": lambda alg: token(alg, cnf={"x5t#S256": "abc"}),
        "empty": lambda alg: token(alg, cnf={}),
        "unknown method": lambda alg: token(alg, cnf={"x": 1}),
        "null": lambda alg: token(alg, cnf=None),
        "a string": lambda alg: token(alg, cnf="jkt"),
    },
    "required scopes": {
        "no scope claim": lambda alg: token(alg, scope=MISSING),
        "empty": lambda alg: token(alg, scope=""),
        "others": lambda alg: token(alg, scope="mqtt.publish:a"),
        "longer": lambda alg: token(alg, scope="xmqtt.connect mqtt.connected"),
        "case": lambda alg: token(alg, scope="MQTT.CONNECT"),
    },
    "client binding": {
        "other client": lambda alg: token(alg, client_id="mallory", sub="mallory"),
        "case": lambda alg: token(alg, client_id=CLIENT.upper()),
        "longer": lambda alg: token(alg, client_id=CLIENT + " "),
        "sub is not client_id": lambda alg: token(alg, client_id="mallory"),
    },
}  # fmt: skip


def good_header(alg: str) -> bytes:
    return json.dumps({"typ": "at+jwt", "alg": alg, "kid": alg}).encode()


def good_payload(exp: bytes = str(NOW + 290).encode()) -> bytes:
    return json.dumps(claims(exp=MISSING))[:-1].encode() + b',"exp":' + exp + b"}"


def swap_payload(good: str, other: dict[str, Any]) -> str:
    head, _, tail = good.split(".")
    return f"{head}.{b64(json.dumps(other).encode())}.{tail}"


def swap_header(good: str, other: dict[str, Any]) -> str:
    return f"{b64(json.dumps(other).encode())}.{good.partition('.')[2]}"


def other_spelling(good: str) -> str:
    """The same bytes in another spelling: the last character has two or four bits to spare."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert len(good.rpartition(".")[2]) % 4 in (2, 3)
    return good[:-1] + alphabet[alphabet.index(good[-1]) + 1]


CASES = [
    pytest.param(row, how, algorithm, id=f"{row}-{how}-{algorithm}")
    for row, ways in FORGERIES.items()
    for how in ways
    for algorithm in THREE
]


def test_every_row_is_broken_by_a_forgery() -> None:
    assert list(FORGERIES) == list(ROWS)


@pytest.mark.parametrize(("row", "how", "algorithm"), CASES)
@pytest.mark.conformance("RS-37", "RS-73")
def test_a_broken_row_refuses_with_its_own_codes(row: str, how: str, algorithm: str) -> None:
    judge, forged = validator(leeway=60 if row == "lifetime" else 0), FORGERIES[row][how](algorithm)
    with pytest.raises(TokenRejected) as refused:
        judge.validate(forged, client_id=CLIENT)
    error, check = refused.value, ROWS[row]
    assert (error.return_code, error.reason_code) == (check.return_code, check.reason_code)
    assert type(error) is check.refusal
    assert error.error == ("insufficient_scope" if check.refusal is NotAllowed else "invalid_token")

    explanation = judge.explain(forged, client_id=CLIENT)
    failed = [outcome.check.name for outcome in explanation if outcome.state == "failed"]
    assert failed == [row]
    assert str(explanation.refusal) == str(error)
