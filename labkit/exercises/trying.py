"""Call what a learner wrote, whatever it does."""

from collections.abc import Callable
from types import CoroutineType
from typing import Any

__all__ = ["AnswerFailed", "AnswerInterrupted", "brief", "describe", "name_of", "try_answer"]

_PLAIN = (bool, bytes, float, int, str, type(None))


class AnswerFailed(Exception):
    """The learner's own code raised; ``__cause__`` is what it raised."""


class AnswerInterrupted(Exception):
    """The learner stopped the kernel's work while the learner's own code ran."""


def try_answer(answer: Callable[..., Any], *args: object, **named: object) -> Any:
    """Call the learner's function.

    There is no time limit: a thread cannot be stopped from outside, and a learner can.  *Interrupt* in the
    menu, or the square button, ends a function that never returns, and the check then says so.

    Raises:
        AnswerFailed: the function raised, or is no function: :meth:`Exercise.check` then says "not yet".
        AnswerInterrupted: it was stopped.  No judge handles this one: the whole check ends.
    """
    try:
        result = answer(*args, **named)
    except KeyboardInterrupt as error:
        raise AnswerInterrupted from error
    except BaseException as error:
        raise AnswerFailed from error
    if type(result) is CoroutineType:
        result.close()  # it will never be awaited, and Python would say so later, elsewhere
        raise AnswerFailed from TypeError("an async function returns no value here: write def, without async")
    return result


def name_of(kind: type) -> str:
    """The name of a class.  A metaclass may have a ``__name__`` of its own that raises or lies."""
    return str(type.__dict__["__name__"].__get__(kind))


def brief(value: object, most: int = 40) -> str:
    """A value in a few letters, for a text about a wrong answer: its repr, or only what kind of thing it is.

    Only plain values are asked for their repr: any other may raise, recurse or fill the page.
    """
    if type(value) not in _PLAIN:
        kind = name_of(type(value))
        return f"{'an' if kind[:1] in 'aeiouAEIOU' else 'a'} {kind}"
    try:
        text = ascii(value[:most] if type(value) in (str, bytes) else value)  # type: ignore[index]
    except ValueError:  # an int of more digits than Python is ready to write
        return "a very long number"
    return text if len(text) <= most else text[:most] + "…"


def describe(error: BaseException | None) -> str:
    """Name and first line of an exception, whatever its text does."""
    name = name_of(type(error))
    try:
        text = str(error).strip().split("\n")[0][:200].rstrip(".")
    except BaseException:
        text = ""
    return f"{name}: {text}" if text else name
