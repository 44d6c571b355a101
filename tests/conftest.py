"""What all tests share: a lab, a frozen clock, and no way out of the machine."""

import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from support_secrets import (  # noqa: F401  # its hooks are hooks of this file, too
    pytest_configure,
    pytest_runtest_makereport,
    pytest_sessionfinish,
)

from labkit.clock import Clock

if TYPE_CHECKING:
    from support_broker import Site

    from labkit import Lab

#: The moment at which frozen clocks stand: 2026-01-01T00:00:00Z.
NEW_YEAR = 1_767_225_600.0


@pytest.fixture
def clock() -> Iterator[Clock]:
    """A clock that stands still between two calls of ``advance``."""
    frozen = Clock(lambda: NEW_YEAR)
    yield frozen
    frozen.close()


@pytest.fixture
def lab() -> "Iterator[Lab]":
    """A running lab of its own for this test."""
    from labkit import Lab

    with Lab() as running:
        yield running


@pytest.fixture
def place() -> "Iterator[Site]":
    """A tiny issuer and a running broker that trusts it, on a clock that stands still."""
    from support_broker import site

    with site() as running:
        yield running


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that reaches for another machine fails instead of hanging in a room without Wi-Fi."""
    connect = socket.socket.connect

    def loopback_only(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple):
            host = str(address[0])
            if not (host.startswith("127.") or host in ("::1", "localhost")):
                raise AssertionError(f"this test tried to reach {host}")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", loopback_only)
