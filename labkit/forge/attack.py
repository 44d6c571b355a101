"""What an attack is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from labkit.forge.issuer import Issuer

__all__ = ["Attack", "Builder", "attack"]

#: Makes the token of an attack against whoever trusts this issuer.
Builder: TypeAlias = Callable[[Issuer], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One way to get in with a token that should not be let in.

    Attributes:
        id: the row of the threat list that it belongs to, such as ``"T06"``.
        name: a short name, unique in the catalogue.
        story: one sentence: who does what, and what they hope for.
        needs: what the attacker has to have: ``"nothing"``; ``"the public key"``; ``"a token"``, stolen or
            their own; or ``"the issuer"``, who has signed what is meant for something else, or should not
            have been signed at all.
        build: makes the token.
        stopped_by: the row of :data:`labkit.tokens.CHECKS` that refuses it; ``None`` for a token that passes,
            as it is a good one: then the story says who has to deal with it.
        spec: the section that has it refused, or ``"lab"`` for a rule of ours.
        connects_as: the client identifier of the connection, where it is not that of the device.
        algorithms: the issuer's algorithms for which the attack exists.
    """

    id: str
    name: str
    story: str
    needs: str
    build: Builder = field(repr=False)
    stopped_by: str | None
    spec: str
    connects_as: str | None = None
    algorithms: tuple[str, ...] = ("ES256", "RS256", "EdDSA")

    def __str__(self) -> str:
        return f"{self.id} {self.name}"


def attack(
    id: str,
    name: str,
    *,
    story: str,
    needs: str,
    stopped_by: str | None,
    spec: str,
    connects_as: str | None = None,
    algorithms: tuple[str, ...] = ("ES256", "RS256", "EdDSA"),
) -> Callable[[Builder], Attack]:
    """Make a builder into an attack, so that the story stands beside the code."""

    def made(build: Builder) -> Attack:
        return Attack(
            id=id,
            name=name,
            story=story,
            needs=needs,
            build=build,
            stopped_by=stopped_by,
            spec=spec,
            connects_as=connects_as,
            algorithms=algorithms,
        )

    return made
