"""The commands of the README, for the tests and for .ci/run: ``python tests/readme.py NAME`` prints one.

A shell block of the README that follows a comment ``<!-- run: NAME -->`` is known by that name.
"""

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"
_BLOCK = re.compile(r"(?:<!-- run: ([\w-]+) -->\n+)?```(\w*)\n(.*?)```", re.DOTALL)


def blocks(language: str) -> dict[str, str]:
    """The blocks in ``language`` by name; one without a name is called after its number."""
    found = _BLOCK.findall(README.read_text(encoding="utf-8"))
    return {
        name or f"block-{number}": text for number, (name, kind, text) in enumerate(found) if kind == language
    }


if __name__ == "__main__":
    sys.stdout.write(blocks("bash")[sys.argv[1]])
