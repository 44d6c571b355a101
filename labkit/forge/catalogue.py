"""All attacks, in one list."""

from labkit.forge.attack import Attack
from labkit.forge.headers import HEADERS
from labkit.forge.misused import MISUSED
from labkit.forge.spelled import SPELLED

__all__ = ["CATALOGUE", "named", "of_threat"]

#: By the row of the threat list, then in the order of the modules.
CATALOGUE: tuple[Attack, ...] = tuple(sorted((*MISUSED, *HEADERS, *SPELLED), key=lambda attack: attack.id))


def named(name: str) -> Attack:
    """The attack of that name.

    Raises:
        LookupError: there is none.
    """
    for attack in CATALOGUE:
        if attack.name == name:
            return attack
    raise LookupError(f"no attack is called {name!r}: see the names in labkit.forge.CATALOGUE")


def of_threat(id: str) -> tuple[Attack, ...]:
    """The attacks that belong to a row of the threat list, such as ``"T06"``; none for a row without any."""
    return tuple(attack for attack in CATALOGUE if attack.id == id)
