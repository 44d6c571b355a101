"""Whether a token's signature fits, in words.  The broker's own rows of the table decide, up to that one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from labkit.clock import Clock
from labkit.errors import TokenRejected
from labkit.show.claims import plain, short
from labkit.tokens import ALGORITHMS, CHECKS, JwksCache, KeySource, StaticKeys
from labkit.tokens.policy import Policy
from labkit.tokens.table import Case, judge

__all__ = ["Verdict", "verdict"]

#: The rows as far as the signature, without those that ask what kind of token it is.
_ROWS: Final = [
    row for row in CHECKS if row.where in ("token", "header", "signature") and row.claim not in ("typ", "cty")
]

#: Why nobody could tell, by the reason of the refusal.
_WHY: Final = {
    "unknown-key": "none of the given keys has this kid",
    "wrong-algorithm": "none of the given keys is for this kid and this alg",
    "keys-unavailable": "the authorization server, which has the keys, is out of reach",
    "critical-header": "its header asks for an extension that is not supported",
    "encrypted": "its header says that it is encrypted or compressed",
}
_UNUSABLE: Final = "its header cannot be used"
_NO_KID: Final = "it names no key, and not exactly one of those given is for its alg"
_FORGED: Final = "the header or the claims were changed, or another key made it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is known about a signature.

    Attributes:
        fits: ``True``, ``False``, or ``None`` when it was not checked.
        words: the verdict.
        why: a sentence more, or ``""``.
    """

    fits: bool | None
    words: str
    why: str = ""


def verdict(token: str, keys: object) -> Verdict:
    """Whether the signature of ``token`` was made with one of ``keys``.  Never raises, whatever ``keys`` is.

    Args:
        token: the token as it travels.
        keys: a JWK set, the URL of one, a ``KeySource``, or anything that has one as ``keys``, such as a
            ``Lab`` or a ``TokenValidator``; ``None`` when none are at hand.
    """
    if token.endswith("."):
        return Verdict(fits=False, words="nobody signed this")
    if keys is None:
        return Verdict(fits=None, words="not checked here")
    try:
        return _judged(token, _source(keys))
    except ValueError as error:  # a key set that must not be used, or the URL of none
        return _not_checked(short(str(error), 200))
    except Exception as error:  # what was given as keys may have code of its own
        return _not_checked(f"the keys cannot be read: {plain(type(error).__name__)}")


def _judged(token: str, keys: KeySource) -> Verdict:
    policy = Policy(
        issuer="-",  # this and the next are for rows that are not walked
        audience="-",
        required_scopes=(),
        leeway=0,
        max_token_bytes=max(len(token), 1),
        algorithms=tuple(ALGORITHMS),
        keys=keys,
    )
    case = Case(policy=policy, clock=Clock(), token=token, client_id=None, proved={})
    try:
        judge(_ROWS, case)
    except TokenRejected as refusal:
        if refusal.reason == "forged":
            return Verdict(fits=False, words="they do not fit", why=_FORGED)
        if refusal.reason == "unknown-key" and "kid" not in case.header:
            return _not_checked(_NO_KID)
        # A header that could not even be read is told by the strict reader, who says more.
        return _not_checked(_WHY.get(refusal.reason, _UNUSABLE if case.header else ""))
    return Verdict(fits=True, words="made with one of the given keys")


def _not_checked(why: str) -> Verdict:
    return Verdict(fits=None, words="not checked", why=why)


def _source(keys: Any) -> KeySource:
    if not isinstance(keys, str | Mapping) and not _finds(keys):
        keys = getattr(keys, "keys", keys)
    if isinstance(keys, Mapping):
        return StaticKeys(keys)
    if isinstance(keys, str):
        return JwksCache(keys)
    if not _finds(keys):
        raise ValueError(f"no key set was given, but an object of type {type(keys).__name__}")
    return keys  # type: ignore[no-any-return]


def _finds(keys: object) -> bool:
    return all(callable(getattr(keys, name, None)) for name in ("find", "ready"))
