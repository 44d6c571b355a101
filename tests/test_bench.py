"""The benchmark works: quick mode, our own servers only.  Shapes are judged here, seconds never."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parent / "bench"
SECTIONS = ["tokens", "connect", "refuse", "start", "memory", "validate", "swap", "flow"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """What one quick run printed, and the report that it wrote."""
    report = tmp_path_factory.mktemp("bench") / "report.json"
    command = [sys.executable, str(BENCH), "--quick", "--json", str(report)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(report.read_text())


def test_every_section_is_measured_and_has_rows_for_our_own_servers(run: tuple[str, dict[str, Any]]) -> None:
    sections = run[1]["sections"]
    assert list(sections) == SECTIONS
    for section in sections.values():
        assert "labkit" not in section["absent"], section["absent"]
        assert section["rows"]
        assert all(row.get("name") for row in section["rows"])
    rows = sections["connect"]["rows"]
    assert {(row["concurrent"], row["name"]) for row in rows} == {
        (1, "labkit gate, ES256"),
        (32, "labkit gate, ES256"),
    }
    assert {"admitted", "refused: forged"} <= {row["name"] for row in sections["refuse"]["rows"]}
    assert {row["name"] for row in sections["validate"]["rows"]} == {"ES256", "RS256", "EdDSA"}
    assert len(sections["swap"]["rows"]) == 2
    assert [(row["lost"], row["doubled"]) for row in sections["flow"]["rows"]][:2] == [(0, 0), (0, 0)]
    assert run[1]["quick"] is True


def test_peers_that_were_not_asked_are_listed_and_not_hidden(run: tuple[str, dict[str, Any]]) -> None:
    sections = run[1]["sections"]
    assert len(sections["tokens"]["absent"]) == 2
    assert len(sections["connect"]["absent"]) == 3
    assert run[0].count("run without peers") == 6


def test_targets_stand_next_to_the_figures_and_need_a_peer(run: tuple[str, dict[str, Any]]) -> None:
    targets = {name: section["targets"] for name, section in run[1]["sections"].items()}
    assert [target["met"] for target in targets["tokens"]] == [None]
    assert [target["met"] for target in targets["connect"]][:2] == [None, None]
    assert {type(target["met"]) for target in targets["refuse"] + targets["start"]} == {bool}
    for judged in (target for found in targets.values() for target in found):
        assert judged["text"] in run[0]
