"""The gallery: each attack gets in at its naive target, not at the repaired one, not at the lab's own."""

import ast
import html
import re

import pytest

from labkit import Lab
from labkit.exercises.lesson11.exhibits import EXHIBITS, Exhibit, gallery
from labkit.tokens import CHECKS, TokenValidator

#: The rows of the threat list that are exercises; the others are regression tests of the gate, or drills.
ROWS = [*range(1, 17), 19, 21, 22, *range(27, 36), *range(41, 45)]
EVERY = pytest.mark.parametrize("exhibit", EXHIBITS, ids=str)


@EVERY
def test_an_attack_breaks_the_naive_target_and_nothing_else(exhibit: Exhibit, lab: Lab) -> None:
    assert exhibit.attack(exhibit.naive, lab)
    assert exhibit.honest(exhibit.naive, lab)
    assert not exhibit.attack(exhibit.repaired, lab)
    assert exhibit.honest(exhibit.repaired, lab)
    assert not exhibit.real(lab)


@EVERY
def test_it_can_be_played_twice_and_says_the_same(exhibit: Exhibit, lab: Lab) -> None:
    first, second = exhibit.play(lab), exhibit.play(lab)
    assert (first.text, first.html) == (second.text, second.html)
    assert re.findall(r"^  .*?(got in|stopped) +(passes)$", first.text, flags=re.M) == [
        ("got in", "passes"),
        ("stopped", "passes"),
        ("stopped", "passes"),
    ]
    assert exhibit.story in " ".join(first.text.split())
    assert exhibit.stopped_by in " ".join(first.text.split())
    assert html.unescape(first.html or "").count(exhibit.stopped_by[:60]) >= 1
    assert max(map(len, first.text.split("\n"))) <= 88


def test_the_rows_of_the_threat_list_are_all_here_and_no_others() -> None:
    assert [exhibit.id for exhibit in EXHIBITS] == [f"T{row:02}" for row in ROWS]
    assert [gallery[exhibit.id] for exhibit in EXHIBITS] == list(gallery)
    assert len({exhibit.name for exhibit in gallery}) == len(gallery) == len(ROWS)
    with pytest.raises(LookupError, match="there is no 'T99' here: the rows are T01, T02"):
        gallery["T99"]


@EVERY
def test_naive_and_repaired_differ_and_can_be_read(exhibit: Exhibit) -> None:
    assert exhibit.naive is not exhibit.repaired
    code = exhibit.code()
    naive, repaired = code.text.split("# repaired\n")
    naive = naive.split("# naive\n")[1]
    assert naive.strip() != repaired.strip()
    for target, source in ((exhibit.naive, naive), (exhibit.repaired, repaired)):
        assert hasattr(target, "told") or ast.parse(source).body  # with all its indentation
    assert exhibit.story.endswith(".")
    assert "eyJ" not in code.text


def test_the_table_shows_every_story() -> None:
    shown = html.unescape(gallery._repr_html_() or "")
    for exhibit in gallery:
        assert exhibit.story in shown
        assert exhibit.stopped_by in shown
        assert f"{exhibit.id}  {exhibit.name}" in repr(gallery)
    assert max(map(len, repr(gallery).split("\n"))) <= 88


def test_without_a_running_lab_nothing_is_played() -> None:
    stopped = Lab()
    stopped.stop()
    for lab in (stopped, None, "lab"):
        assert gallery["T01"].play(lab).text.startswith("play needs a running lab")


@pytest.mark.parametrize(
    ("row", "check"),
    [
        ("T02", "cnf"),
        ("T03", "aud"),
        ("T04", "typ"),
        ("T10", "exp"),
        ("T30", "required scopes"),
        ("T33", "length"),
    ],
)
def test_a_gate_that_left_the_check_out_would_be_found_out(
    row: str, check: str, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TokenValidator, "checks", tuple(each for each in CHECKS if each.name != check))
    assert gallery[row].real(lab)


def test_a_gate_that_opens_for_nobody_proves_nothing(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TokenValidator, "ready_for", lambda *_: 1 / 0)
    monkeypatch.setattr(TokenValidator, "validate", lambda *_, **__: 1 / 0)
    with pytest.raises(RuntimeError, match="does not let the honest device in"):
        gallery["T03"].real(lab)
