"""The blank ``____``: marks what a learner still has to fill in.

A cell with blanks in it must run without an error, so that "not attempted" is an answer and no traceback:
the blank can be called, indexed, added to or compared, and stays a blank.
"""

from collections.abc import Iterator
from itertools import chain, islice
from types import CodeType, FunctionType, MethodType
from typing import Final

__all__ = ["Blank", "____", "has_blank"]

#: The most objects that are looked at within one answer: an answer can be endless.
_MOST_PARTS = 2_000


class Blank:
    """What is still to be filled in.  Whatever is done with it gives the blank again."""

    __slots__ = ()

    def _same(self, *_args: object, **_named: object) -> "Blank":
        return self

    __call__ = __getitem__ = _same
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _same
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __or__ = __ror__ = __and__ = __rand__ = _same
    __lt__ = __le__ = __gt__ = __ge__ = __neg__ = _same

    def __getattr__(self, name: str) -> "Blank":
        if name.startswith("_"):  # what Python and Jupyter ask every object for
            raise AttributeError(name)
        return self

    def __bool__(self) -> bool:
        return False

    def __iter__(self) -> Iterator["Blank"]:
        return iter(())

    def __repr__(self) -> str:
        return "____"

    def __reduce__(self) -> str:
        return "____"  # copies and pickles are the blank itself


____: Final = Blank()


def has_blank(answer: object) -> bool:
    """Whether a blank is left in ``answer``: a value, part of a text, in a container or a function's code."""
    waiting: list[object] = [answer]
    for _ in range(_MOST_PARTS):
        if not waiting:
            return False
        part = waiting.pop()
        if _is_blank(part):
            return True
        waiting.extend(_parts(part))
    return False


def _is_blank(part: object) -> bool:
    return type(part) is Blank or (type(part) is str and "____" in part)


def _parts(part: object) -> list[object]:
    """What ``part`` is made of.  Types are compared exactly: a subclass may run code of its own."""
    if type(part) in (list, tuple, set, frozenset):
        return list(islice(part, _MOST_PARTS))  # type: ignore[call-overload]
    if type(part) is dict:
        return list(islice(chain.from_iterable(part.items()), _MOST_PARTS))
    if issubclass(type(part), type):
        members = type.__getattribute__(part, "__dict__")
        return [value for value in list(members.values()) if type(value) is FunctionType]
    if type(part) is MethodType:
        return [part.__func__]
    if type(part) is FunctionType:
        return [part.__code__]
    if type(part) is CodeType:
        return [
            *(const for const in part.co_consts if type(const) is CodeType or type(const) is str),
            *(name for name in part.co_names if name == "____"),
        ]
    return []
