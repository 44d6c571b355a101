"""Which exercises are done: one local JSON file, which the learner may delete at any time.

Nothing leaves the machine, and nothing but the names of the solved exercises is kept.  ``LABKIT_PROGRESS``
names another file, or says ``off``: then progress lives in memory only, as it does where no file can be
written.
"""

import json
import os
import tempfile
import threading
from pathlib import Path

import platformdirs

__all__ = ["Progress", "progress"]

VARIABLE = "LABKIT_PROGRESS"


class Progress:
    """The set of exercises that have been answered right, kept over restarts where that is possible.

    Args:
        path: the JSON file; ``None`` keeps everything in memory.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._here: set[str] = set()
        self._lock = threading.Lock()

    @classmethod
    def from_environment(cls) -> "Progress":
        """The file that ``LABKIT_PROGRESS`` names, or the usual place for a user's data on this system."""
        chosen = os.environ.get(VARIABLE, "")
        if chosen.lower() in ("off", "0", "no", "none"):
            return cls(None)
        if chosen:
            return cls(Path(chosen).expanduser())
        return cls(platformdirs.user_data_path("labkit", appauthor=False) / "progress.json")

    def done(self) -> frozenset[str]:
        """The ids of solved exercises, for example ``{"01.read_claims"}``."""
        with self._lock:
            return frozenset(self._here | self._load())

    def add(self, exercise_id: str) -> None:
        """Remember that an exercise is solved.  Never raises: a full disk must not spoil a lesson."""
        with self._lock:
            known = self._load()
            self._here.add(exercise_id)
            if exercise_id not in known:
                self._save(known | self._here)

    def forget(self) -> None:
        """Delete the file and start again."""
        with self._lock:
            self._here.clear()
            if self.path is not None:
                try:
                    self.path.unlink(missing_ok=True)
                except OSError:
                    self.path = None

    def _load(self) -> set[str]:
        if self.path is None:
            return set()
        try:
            done = json.loads(self.path.read_text(encoding="utf-8"))["done"]
            return {str(item) for item in done}
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return set()  # missing, damaged or not ours: begin with nothing

    def _save(self, done: set[str]) -> None:
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(
                "w", encoding="utf-8", dir=self.path.parent, prefix=".progress-", delete=False
            ) as draft:
                json.dump({"version": 1, "done": sorted(done)}, draft, indent=1)
            Path(draft.name).replace(self.path)  # another kernel never reads half a file
        except OSError:
            self.path = None  # read-only home, full disk: go on in memory


progress = Progress.from_environment()
