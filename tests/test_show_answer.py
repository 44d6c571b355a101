"""A server's JSON answer is shown indented, without its secrets, and the same on every run."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_show import survives
from support_tokens import jwks
from support_tokens import token as signed

from labkit import show

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.binary(), inner),
    max_leaves=10,
)


@pytest.mark.parametrize("shape", [str, str.encode, str.splitlines, json.loads])
def test_an_answer_is_shown_without_its_secrets(shape: Any) -> None:
    body = json.dumps(
        {
            "access_token": signed(), "token_type": "Bearer", "expires_in": 300,
            "refresh_token": "r" * 43,
            "device_code": "d" * 43, "user_code": "WDJB-MJHT",
            "verification_uri": "http://127.0.0.1:54321/device",
            "verification_uri_complete": "http://127.0.0.1:54321/device?user_code=WDJB-MJHT",
        }
    )  # fmt: skip
    picture = show.answer(shape(body))
    assert picture.text == (
        "{\n"
        '  "access_token": "eyJ0eX…",\n'
        '  "token_type": "Bearer",\n'
        '  "expires_in": 300,\n'
        '  "refresh_token": "… (43 characters)",\n'
        '  "device_code": "… (43 characters)",\n'
        '  "user_code": "… (9 characters)",\n'
        '  "verification_uri": "http://127.0.0.1:PORT/device",\n'
        '  "verification_uri_complete": "http://127.0.0.1:PORT/device?user_code=…"\n'
        "}"
    )
    assert picture.html is None


def test_an_opaque_token_is_told_by_its_length() -> None:
    assert str(show.answer({"access_token": "2YotnFZFEjr1zCsicMWpAA"})) == (
        '{\n  "access_token": "… (22 characters)"\n}'
    )


def test_a_key_set_is_the_same_on_every_run() -> None:
    keys = jwks()
    text = str(show.answer(keys))
    assert '"crv": "P-256"' in text
    assert '"x": "… (43 characters)"' in text
    for key in keys["keys"]:
        for member in ("x", "y", "n"):
            assert key.get(member, "…") in ("…",) or key[member] not in text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (["sh: 1: curl: not found"], "sh: 1: curl: not found"),
        ("<html>\r\n\tno \x1b[2J JSON\r\n", "<html>\n        no �[2J JSON\n"),
        ('{"error": "a\u202eb"}', '{\n  "error": "a�b"\n}'),
        ([], ""),
        ("", ""),
        (object(), "no JSON: an object of type object"),
        ({b"a": 1}, "no JSON: an object of type dict"),
    ],
)
def test_what_is_no_json_is_shown_as_far_as_it_goes(body: object, text: str) -> None:
    assert str(show.answer(body)) == text


@given(ANYTHING)
def test_anything_can_be_shown(body: object) -> None:
    picture = show.answer(body)
    survives(picture)
    assert all(line.isprintable() for line in picture.text.split("\n"))
