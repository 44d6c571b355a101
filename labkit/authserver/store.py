"""What outlives a restart: nothing, or one SQLite file.

Memory is always what the server works on.  A journal takes down each change, one transaction for what
belongs together, and gives everything back once, when a server is built.
"""

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from labkit.errors import ServiceFailed

__all__ = ["Journal", "Row", "SqliteJournal"]

#: Kind of thing, its key, and its value as JSON; ``None`` deletes it.
Row: TypeAlias = tuple[str, str, Mapping[str, Any] | None]


class Journal:
    """A journal that forgets: state lives as long as the server object."""

    #: Whether :meth:`write` waits for a disk.
    slow = False

    def load(self, kind: str) -> dict[str, dict[str, Any]]:
        """Everything of one kind, by key."""
        return {}

    def write(self, *rows: Row) -> None:
        """Take down changes that belong together: all of them or none."""


class SqliteJournal(Journal):
    """A journal in one SQLite file, for one server at a time.

    The file holds the private signing keys, as tokens issued before a restart must verify after it, so only
    its owner may read it (where the system knows such a thing).  Client secrets, passwords and refresh tokens
    are in there as hashes only.

    A connection is opened for each change: changes are rare, and there is nothing to close, to leak, or to
    share between threads.

    Raises:
        ServiceFailed: the file cannot be read or written, or is not ours.
    """

    slow = True

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            with contextlib.suppress(NotImplementedError):
                path.chmod(0o600)
        except OSError as error:
            raise ServiceFailed(f"cannot write the database {path}: choose another file ({error})") from None
        self._run(
            "CREATE TABLE IF NOT EXISTS journal (kind, key, value, PRIMARY KEY (kind, key)) WITHOUT ROWID"
        )

    def load(self, kind: str) -> dict[str, dict[str, Any]]:
        rows = self._run("SELECT key, value FROM journal WHERE kind = ?", (kind,))
        return {key: json.loads(value) for key, value in rows}

    def write(self, *rows: Row) -> None:
        with self._connection() as connection:
            for kind, key, value in rows:
                if value is None:
                    connection.execute("DELETE FROM journal WHERE kind = ? AND key = ?", (kind, key))
                else:
                    row = (kind, key, json.dumps(value))
                    connection.execute("INSERT OR REPLACE INTO journal VALUES (?, ?, ?)", row)

    def _run(self, statement: str, values: tuple[str, ...] = ()) -> list[tuple[str, str]]:
        with self._connection() as connection:
            return connection.execute(statement, values).fetchall()

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            with contextlib.closing(sqlite3.connect(self._path, timeout=10.0)) as connection, connection:
                yield connection
        except sqlite3.Error as error:
            raise ServiceFailed(f"the database {self._path} cannot be used ({error})") from None
