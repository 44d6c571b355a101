"""The house stands as drawn: a room imports only rooms on the floors below it, and the walls hold."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "labkit"

#: Room → floor.  Rooms of one floor do not import each other, except where ``SAME_FLOOR`` says so.
FLOORS = {
    "errors": 1, "auth_methods": 1, "paho_auth": 1,
    "clock": 1, "record": 1, "service": 1, "tls": 1, "handshakes": 1,
    "topics": 2, "rights": 2, "wire": 2, "tokens": 2,
    "authserver": 3, "broker": 3, "device": 3, "forge": 3,
    "lab": 4, "addresses": 4, "registered": 4,
    "show": 5, "exercises": 5,
    "cli": 6, "__main__": 6,
}  # fmt: skip
SAME_FLOOR = {
    ("record", "errors"),
    ("service", "errors"),
    ("paho_auth", "auth_methods"),
    ("tls", "errors"),
    ("handshakes", "service"),
    ("tokens", "topics"),
    ("rights", "topics"),
    ("exercises", "show"),
    ("lab", "registered"),
    ("registered", "addresses"),
}


def _imports(path: Path) -> set[str]:
    """The rooms of labkit that a module imports, whether at its top or inside a function."""
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [node.module]
            if node.module == "labkit":
                names = [f"labkit.{alias.name}" for alias in node.names]
        rooms |= {name.split(".")[1] for name in names if name.startswith("labkit.")}
    return rooms


MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_a_room_imports_only_rooms_below_it(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for other in _imports(path) - {room, "__version__"}:
        if FLOORS[room] > 5 or (room, other) in SAME_FLOOR:
            continue
        other_floor = FLOORS.get(other, 4)  # Lab, Device and friends, taken from the facade
        assert other_floor < FLOORS[room], f"{room} is on floor {FLOORS[room]} and imports {other}"


def test_the_device_takes_nothing_of_labkit_but_its_errors_and_what_paho_lacks() -> None:
    assert _imports(PACKAGE / "device.py") <= {"errors", "auth_methods", "paho_auth"}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_a_module_fits_in_one_reading(path: Path) -> None:
    limit = 880 if path.name == "device.py" else 300  # that one is made to be copied: one file on purpose
    assert len(path.read_text(encoding="utf-8").splitlines()) <= limit
