"""A watch over secrets, as a pytest plugin: nothing that is issued in a test may turn up where people look.

Looked through after each test: every log line of every logger, down to DEBUG; what tests print; every event
in a record.  Looked for: each access token, refresh token, device code, client secret and private key that an
authorization server has made in this session, whole or in pieces of 31 characters; and any whole JWT, whoever
made it.  A test that has to tell a secret says so, and why: ``@pytest.mark.tells_a_secret("…")``.
"""

import base64
import functools
import logging
import re
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest

__all__ = ["WATCH", "Watch"]

_SIZE = 16  # characters that are compared; a piece of 2 * 16 - 1 holds one that is known
#: Here answers of learners are judged, and some of these print what they are given: print itself is one.
_LEARNERS = "test_exercises"
_WORD = re.compile(r"[\w+/=-]{16,}", re.ASCII)
_JWT = re.compile(r"(eyJ[\w-]{8,})\.[\w-]{8,}\.[\w-]{16,}", re.ASCII)


class Watch:
    """What is secret, and what has been said.  Safe to use from any thread."""

    def __init__(self) -> None:
        self._pieces: dict[str, str] = {}
        self._said: deque[tuple[str, str]] = deque()
        self._records: list[tuple[Any, int]] = []
        self._reading = threading.local()

    def know(self, kind: str, secret: str | None) -> None:
        """That is a secret from now on, and what was said before counts as well."""
        if secret is None:
            return
        for part in secret.split(".")[1:] if secret.startswith("eyJ") else [secret]:  # headers are all alike
            self._learn(kind, part)
        if kind == "client secret":  # as it stands in a Basic header, at each of three alignments
            for shift in range(3):
                text = base64.b64encode(b":" * shift + secret.encode()).decode().rstrip("=")
                self._learn(kind, text[4 if shift else 0 : -4])

    def _learn(self, kind: str, text: str) -> None:
        for at in (*range(0, len(text) - _SIZE, _SIZE), len(text) - _SIZE):
            if at >= 0:
                self._pieces[text[at : at + _SIZE]] = kind

    def hear(self, where: str, text: str) -> None:
        """Somebody said that."""
        if len(text) >= _SIZE:
            self._said.append((where, text))

    def follow(self, record: Any) -> None:
        """Look into that record as well, as a reader would."""
        self._records.append((record, 0))

    def _read_records(self) -> None:
        records, self._records = self._records, []
        while records:
            record, mark = records.pop()
            now = record.mark()
            for event in record.events(since=mark):
                self.hear(f"the record ({event.kind})", " ".join(map(str, event.facts.values())))
            if sys.getrefcount(record) > 2:  # somebody else has it, and may write more
                self._records.append((record, now))

    def leaks(self) -> list[str]:
        """What was said since the last time and should not have been, with the secret blacked out."""
        found = []
        self._read_records()
        while self._said:
            where, text = self._said.popleft()
            for word in _WORD.finditer(text):
                kind = self._kind(word.group())
                if kind is not None:
                    around = text[max(0, word.start() - 100) : word.end() + 50]
                    found.append(f"{kind} in {where}: {_WORD.sub('█████', around)!r}")
            if any(_has_alg(each.group(1)) for each in _JWT.finditer(text)):
                found.append(f"a whole JWT in {where}: {_WORD.sub('█████', text)[:120]!r}")
        return found

    def _kind(self, word: str) -> str | None:
        return next(
            (
                self._pieces[piece]
                for at in range(len(word) - _SIZE + 1)
                if (piece := word[at : at + _SIZE]) in self._pieces
            ),
            None,
        )

    def hear_log(self, name: str, level: int, message: object, args: Any, exc_info: Any) -> None:
        """A log line, as it would be written."""
        if getattr(self._reading, "now", False):  # a repr that logs
            return
        self._reading.now = True
        try:
            text = str(message)
            if args:
                text %= args[0] if len(args) == 1 and isinstance(args[0], dict) and args[0] else args
            if exc_info:
                told = exc_info if isinstance(exc_info, BaseException) else sys.exc_info()[1]
                text += "".join(traceback.format_exception(told)) if told is not None else ""
        except Exception:  # a line that cannot be formatted shows nothing
            return
        finally:
            self._reading.now = False
        self.hear(f"the log {name} ({logging.getLevelName(level)})", text)


def _has_alg(header: str) -> bool:
    """Whether this is the header of a JWT, and not of something that only looks like one."""
    return b'"alg"' in base64.urlsafe_b64decode(header + "=" * (-len(header) % 4))


WATCH = Watch()


def _after(owner: Any, name: str, learn: Callable[[Any], None], undo: list[Callable[[], None]]) -> None:
    """Have ``learn`` see what ``owner.name`` returns."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def watched(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        learn(result)
        return result

    setattr(owner, name, watched)
    undo.append(lambda: setattr(owner, name, original))


def _watch_logs(undo: list[Callable[[], None]]) -> None:
    """Every logger says everything, and only we hear what nobody has asked for."""
    enabled, log = logging.Logger.isEnabledFor, logging.Logger._log

    def say(
        self: logging.Logger, level: int, msg: object, args: Any, exc_info: Any = None, **more: Any
    ) -> None:
        WATCH.hear_log(self.name, level, msg, args, exc_info)
        if enabled(self, level):
            log(self, level, msg, args, exc_info, **more | {"stacklevel": more.get("stacklevel", 1) + 1})

    logging.Logger.isEnabledFor = lambda self, level: True  # type: ignore[method-assign]
    logging.Logger._log = say  # type: ignore[method-assign]
    undo.append(lambda: setattr(logging.Logger, "isEnabledFor", enabled))
    undo.append(lambda: setattr(logging.Logger, "_log", log))


def pytest_configure(config: pytest.Config) -> None:
    """From the beginning to the end of the session."""
    from _pytest.capture import CaptureFixture

    from labkit.authserver import registration
    from labkit.authserver.access_tokens import AccessTokens
    from labkit.authserver.device_codes import DeviceCodes
    from labkit.authserver.families import Families
    from labkit.record import Record

    undo: list[Callable[[], None]] = []

    def credentials(proof: tuple[dict[str, Any], dict[str, Any]]) -> None:
        WATCH.know("client secret", proof[1].get("client_secret"))
        for line in (proof[1].get("private_key") or "").splitlines()[1:-1]:
            WATCH.know("private key", line)

    def made(self: Record, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        WATCH.follow(self)

    def printed(captured: Any) -> None:
        for name in ("out", "err"):
            text = getattr(captured, name)
            WATCH.hear(
                f"output (std{name})", text if isinstance(text, str) else text.decode(errors="replace")
            )

    _after(AccessTokens, "issue", lambda issued: WATCH.know("access token", issued.token), undo)
    _after(Families, "_renew", lambda token: WATCH.know("refresh token", token), undo)
    _after(DeviceCodes, "start", lambda codes: WATCH.know("device code", codes[0]), undo)
    _after(registration, "_proof", credentials, undo)
    _after(CaptureFixture, "readouterr", printed, undo)
    make = Record.__init__
    Record.__init__ = made  # type: ignore[method-assign]
    undo.append(lambda: setattr(Record, "__init__", make))
    _watch_logs(undo)
    config.addinivalue_line("markers", "tells_a_secret(why): a test that does what nobody should do")
    config.add_cleanup(lambda: [each() for each in undo])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Iterator[Any]:
    """A test in which a secret got out has failed."""
    report = yield
    if report.when == "teardown":
        for name, text in report.sections:
            if "stdout" in name or "stderr" in name:
                WATCH.hear(f"output ({name.lower()})", text)
        found = WATCH.leaks()
        if item.path.name.startswith(_LEARNERS):
            found = [each for each in found if " in output " not in each]
        if found and item.get_closest_marker("tells_a_secret") is None:
            report.outcome, report.sections = "failed", []  # pytest would print them
            report.longrepr = "\n".join(["A secret got out:", *found[:20]])
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """What was said after the last test."""
    if found := WATCH.leaks():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print("\n".join(["A secret got out after the last test:", *found[:20]]))
