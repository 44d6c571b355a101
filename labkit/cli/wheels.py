"""Which wheels a folder lacks, for a computer that is not this one.

pip can download for another system (``--platform``), but it decides by *this* system which packages are
needed at all: a folder made on Linux would lack what only Windows asks for.  So the way from requirement to
requirement is walked here, with the markers of the other system, and pip only fetches.
"""

import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import default_environment
from packaging.metadata import Metadata
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

__all__ = ["PLATFORMS", "PYTHONS", "Platform", "Target", "missing"]

#: The Pythons that the lessons are tested with.
PYTHONS = ("3.11", "3.12", "3.13")


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """A kind of computer: the tags of the wheels that run on it, best first, and how it answers markers."""

    title: str
    tags: tuple[str, ...]
    markers: Mapping[str, str]


def _glibc(machine: str) -> tuple[str, ...]:
    # 2.28 is Debian 10, Ubuntu 18.10, RHEL 8.  pip does not count down from one of these tags to the next.
    numbered = tuple(f"manylinux_2_{minor}_{machine}" for minor in range(28, 16, -1))
    return (*numbered, f"manylinux2014_{machine}")


def _macos(machine: str) -> tuple[str, ...]:
    every = [f"macosx_{major}_0_{kind}" for major in (12, 11) for kind in (machine, "universal2")]
    older = [f"macosx_10_{minor}_{kind}" for minor in range(16, 8, -1) for kind in (machine, "universal2")]
    return (*every, *older)


def _markers(sys_platform: str, os_name: str, system: str, machine: str) -> Mapping[str, str]:
    names = ("sys_platform", "os_name", "platform_system", "platform_machine")
    return dict(zip(names, (sys_platform, os_name, system, machine), strict=True))


PLATFORMS = {
    "windows": Platform(
        title="Windows (64 bit)", tags=("win_amd64",), markers=_markers("win32", "nt", "Windows", "AMD64")
    ),
    "macos": Platform(
        title="macOS 12 and later (Apple chip)",
        tags=_macos("arm64"),
        markers=_markers("darwin", "posix", "Darwin", "arm64"),
    ),
    "macos-intel": Platform(
        title="macOS 12 and later (Intel chip)",
        tags=_macos("x86_64"),
        markers=_markers("darwin", "posix", "Darwin", "x86_64"),
    ),
    "linux": Platform(
        title="Linux (64 bit, glibc)",
        tags=_glibc("x86_64"),
        markers=_markers("linux", "posix", "Linux", "x86_64"),
    ),
    "linux-arm": Platform(
        title="Linux on ARM (64 bit, glibc)",
        tags=_glibc("aarch64"),
        markers=_markers("linux", "posix", "Linux", "aarch64"),
    ),
}


@dataclass(frozen=True, slots=True)
class Target:
    """A platform and a Python, such as ``"3.12"``."""

    platform: Platform
    python: str

    def __str__(self) -> str:
        return f"{self.platform.title}, Python {self.python}"

    @property
    def pip_options(self) -> list[str]:
        """What tells ``pip download`` to look for wheels of this target."""
        tags = [f"--platform={tag}" for tag in self.platform.tags]
        return ["--only-binary=:all:", "--implementation=cp", f"--python-version={self.python}", *tags]

    def accepts(self) -> frozenset[Tag]:
        """The tags of all wheels that can be installed there."""
        major, minor = map(int, self.python.split("."))
        own = cpython_tags((major, minor), platforms=self.platform.tags)
        pure = compatible_tags((major, minor), interpreter=f"cp{major}{minor}", platforms=self.platform.tags)
        return frozenset((*own, *pure))

    def markers(self, extra: str) -> dict[str, str]:
        """The answers that this target gives to an environment marker (PEP 508)."""
        ours = {name: str(value) for name, value in default_environment().items()}
        full = f"{self.python}.0"  # the oldest: a wheel too many does no harm
        version = {"python_version": self.python, "python_full_version": full, "implementation_version": full}
        return ours | dict(self.platform.markers) | version | {"extra": extra}


def missing(folder: Path, target: Target, root: str = "labkit") -> list[Requirement]:
    """What has to be added to ``folder`` before ``root`` can be installed from it on ``target``.

    Only one step is seen at a time: what is added may ask for more.  Requirements for one package are joined,
    so that one wheel serves them all.

    Raises:
        ValueError: a file is no wheel, and pip would stumble over it, too.
    """
    wheels = list(_wheels(folder, target))
    wanted: dict[str, SpecifierSet] = {}
    todo, seen = [(canonicalize_name(root), "")], set()
    while todo:
        name, extra = todo.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        wanted.setdefault(name, SpecifierSet())
        for wheel in wheels:
            if canonicalize_name(wheel.name) != name:
                continue
            for requirement in wheel.requires_dist or ():
                if requirement.marker is None or requirement.marker.evaluate(target.markers(extra)):
                    needed = canonicalize_name(requirement.name)
                    wanted[needed] = wanted.get(needed, SpecifierSet()) & requirement.specifier
                    todo += [(needed, each) for each in ("", *requirement.extras)]
    return [
        Requirement(f"{name}{specifier}")
        for name, specifier in sorted(wanted.items())
        if not any(
            canonicalize_name(wheel.name) == name and specifier.contains(wheel.version, prereleases=True)
            for wheel in wheels
        )
    ]


def _wheels(folder: Path, target: Target) -> Iterator[Metadata]:
    accepted = target.accepts()
    for path in sorted(folder.glob("*.whl")):
        try:
            tags = parse_wheel_filename(path.name)[3]
            if not tags & accepted:
                continue
            with zipfile.ZipFile(path) as wheel:
                inside = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
                metadata = Metadata.from_email(wheel.read(inside), validate=False)
        except (InvalidWheelFilename, zipfile.BadZipFile, StopIteration, OSError) as error:
            raise ValueError(f"{path.name} is damaged or no wheel: delete it, and run this again") from error
        wanted = metadata.requires_python
        if wanted is None or wanted.contains(f"{target.python}.0"):
            yield metadata
