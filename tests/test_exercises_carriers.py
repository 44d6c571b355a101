"""What lesson 08 has knock at a broker's door, and how its checks look at TLS and at bound tokens."""

import re
import ssl
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from refresh_notebooks import NOTEBOOKS, find, opened, read, same
from support_show import survives

from labkit import Lab
from labkit.auth_methods import OAuth2Pop
from labkit.exercises import Outcome, progress
from labkit.exercises.lesson08 import six_clients, thumbprint
from labkit.exercises.lesson08.frames import Answer, knock
from labkit.exercises.lesson08.knocking import FAULTS
from labkit.exercises.lesson08.proving import CASES
from labkit.exercises.lesson08.trusting import context
from labkit.exercises.lesson09 import hurried
from labkit.tokens import peek_unverified
from labkit.wire import Connect, encode


@pytest.fixture(autouse=True)
def _progress_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "path", None)


@pytest.fixture
def secure() -> Iterator[Lab]:
    with Lab(tls=True) as running:
        yield running


#: HTTP's status and CONNACK's code for each fault.
ANSWERS = {
    "twice": ["101", "4"],
    "url": ["400", "-"],
    "page": ["403", "-"],
    "protocol": ["400", "-"],
    "scheme": ["401", "-"],
    "expired": ["101", "4"],
}


def test_each_of_the_six_is_refused_for_its_own_fault(lab: Lab) -> None:
    mark = lab.record.mark()
    shown = six_clients(lab)
    assert survives(shown)
    rows = {line.split()[0]: re.split(r"  +", line) for line in shown.text.splitlines()[1:]}
    assert {letter: row[-2:] for letter, row in rows.items()} == {
        letter: ANSWERS[fault] for letter, fault in FAULTS.items()
    }
    reasons = [event["reason"] for event in lab.record.events("upgrade.refused", since=mark)]
    assert reasons == ["token-in-url", "origin", "subprotocol", "authorization-scheme"]
    assert [event["reason"] for event in lab.record.events("connect.refused", since=mark)] == [
        "ambiguous",
        "expired",
    ]
    assert str(six_clients(lab)) == str(shown)


def test_no_token_is_shown(lab: Lab) -> None:
    assert not re.search(r"eyJ\w", six_clients(lab).text)


def test_a_packet_of_any_length_goes_into_the_frame(lab: Lab) -> None:
    lab.register("dev-1")
    offer = ("Sec-WebSocket-Protocol: mqtt",)
    for password in (b"short", lab.token("dev-1").encode()):
        packet = encode(Connect(client_id="dev-1", username="dev-1", password=password))
        assert knock(lab.ws, "/mqtt", offer, packet) == Answer(
            status=101, code=4 if password == b"short" else 0
        )


def test_the_settings_that_are_right_are_right_for_a_real_broker(secure: Lab) -> None:
    """What the check does in memory, over sockets."""

    def settings(ca_file: str) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=ca_file)

    assert context.check(settings).outcome is Outcome.RIGHT
    assert secure.mqtts is not None
    assert secure.ca_file is not None
    secure.register("dev-1")
    with secure.device("dev-1") as device:
        assert device.connected


def test_the_cases_of_bound_tokens_are_those_of_the_broker(secure: Lab) -> None:
    """With a real token and the broker's own validator in place of the learner's function."""
    secure.register("dev-1", certificate_bound=True)
    token = secure.token("dev-1")
    claims = peek_unverified(token).claims
    assert set(claims["cnf"]) == {"x5t#S256"}
    explain: Any = secure.validator.explain
    for proof, good in ((claims["cnf"]["x5t#S256"], True), (thumbprint(b"another"), False), (None, False)):
        proved = {} if proof is None else {"proved": {"x5t#S256": proof}}
        assert explain(token, client_id="dev-1", **proved).accepted is good
    assert sum(wanted for _, _, wanted, _ in CASES) == 3


def test_each_door_of_lesson_09_lets_in_the_thief_that_belongs_to_it_and_no_other() -> None:
    cells = (cell.source for cell in read(*NOTEBOOKS.glob("09-*.ipynb")).cells)
    opened: dict[str, Any] = {}
    exec(next(cell for cell in cells if "def door_a" in cell), opened)
    devices, hers = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    device, thief = OAuth2Pop(devices), OAuth2Pop(hers)
    for one in (device, thief):
        one.first("a.good.token", "lock-1")
    named = hurried.read(device.answer(b"new")).key
    new, signed_by_her = device.answer(b"new"), thief.answer(b"new")
    bad = b".".join([*new.split(b".")[:2], signed_by_her.split(b".")[2]])
    proofs = {"old proof": device.answer(b"old"), "own key": signed_by_her, "bad signature": bad}
    for letter, fault in hurried.FAULTS.items():
        door = opened[f"door_{letter.lower()}"]
        assert door(hurried.read(new), "new", named)
        assert [word for word, proof in proofs.items() if door(hurried.read(proof), "new", named)] == [fault]


def test_a_cell_that_is_run_again_later_says_what_it_said() -> None:
    """No later cell takes a name or a token away from an earlier one, and half an hour does not either."""
    notebook = read(find(["08"])[0])
    cells = [index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    stored = {index: notebook.cells[index].outputs for index in cells}
    shows = [index for index in cells if stored[index] and "lab.register" not in notebook.cells[index].source]
    with opened(notebook) as kernel:
        for index in cells:
            kernel.run(index)
            kernel.run_text("lab.clock.advance(minutes=1)")  # somebody reads
        assert [index for index in shows if not same(kernel.run(index), stored[index])] == []
