"""Objects that no learner means to hand in, and that a check must survive all the same."""

import builtins
import collections
import decimal
import enum
import fractions
import functools
import sys
import types
import weakref
from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock

__all__ = ["KEEPERS", "Hostile", "HostileText", "animals", "functions"]


class Hostile:
    """Answers every question with an exception."""

    def __getattribute__(self, name: str) -> Any:
        raise SystemExit(name)

    def __eq__(self, other: object) -> bool:
        raise KeyboardInterrupt

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        raise RecursionError

    __str__ = __iter__ = __len__ = __bool__ = __call__ = __index__ = __float__ = __repr__  # type: ignore[assignment]


class Unhashable(Hostile):
    def __hash__(self) -> int:  # type: ignore[override]
        raise MemoryError


class OnAttribute:
    def __getattr__(self, name: str) -> Any:
        raise GeneratorExit(name)


class Bottomless:
    """Every question leads to the next one."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self, name + "x")

    def __repr__(self) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return self == other

    __hash__ = object.__hash__

    def __call__(self, *args: object, **named: object) -> Any:
        return self(*args)

    def __iter__(self) -> Any:
        return iter(self)

    def __bool__(self) -> bool:
        return bool(self)


def lying_about(kind: type) -> Any:
    """An object that says it is a ``kind``, and is not."""

    class Liar:
        __class__ = kind  # type: ignore[assignment]

    return Liar()


class ClassRaises:
    @property  # type: ignore[misc]
    def __class__(self) -> type:  # type: ignore[override]
        raise ZeroDivisionError


class EqualToAll:
    """Equal to everything, true, and as long as one likes."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return hash("A")

    def __len__(self) -> int:
        return sys.maxsize

    def __repr__(self) -> str:
        return "A"


class WrongTypes:
    """Gives an answer of the wrong type to every question."""

    def __eq__(self, other: object) -> Any:
        return "maybe"

    def __hash__(self) -> Any:  # type: ignore[override]
        return "x"

    def __len__(self) -> Any:
        return -1

    def __bool__(self) -> Any:
        return 2

    def __iter__(self) -> Any:
        return 3

    def __repr__(self) -> Any:
        return 4

    __str__ = __index__ = __call__ = __repr__


class HostileText(str):
    def __contains__(self, key: object) -> bool:
        raise ZeroDivisionError

    __eq__ = __len__ = __getitem__ = split = strip = encode = lower = __contains__  # type: ignore[assignment]
    __hash__ = str.__hash__


class HostileDict(dict):  # type: ignore[type-arg]
    def __getitem__(self, key: object) -> Any:
        raise ZeroDivisionError

    __iter__ = items = keys = values = __len__ = __eq__ = get = __or__ = __getitem__  # type: ignore[assignment]
    __hash__ = None  # type: ignore[assignment]


class HostileList(list):  # type: ignore[type-arg]
    def __getitem__(self, key: object) -> Any:
        raise ZeroDivisionError

    __iter__ = __len__ = __eq__ = __contains__ = __getitem__  # type: ignore[assignment]
    __hash__ = None  # type: ignore[assignment]


class HostileInt(int):
    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError

    __lt__ = __gt__ = __le__ = __ge__ = __add__ = __radd__ = __repr__ = __str__ = __eq__  # type: ignore[assignment]
    __hash__ = int.__hash__


class Meta(type):
    """A class that raises whatever it is asked, its name included."""

    def __instancecheck__(cls, instance: object) -> bool:
        raise ZeroDivisionError

    __subclasscheck__ = __eq__ = __call__ = __repr__ = __bool__ = __instancecheck__  # type: ignore[assignment]
    __hash__ = type.__hash__
    __name__ = property(__instancecheck__)  # type: ignore[assignment]


class HostileClass(metaclass=Meta):
    pass


class NamelessMeta(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise Nameless


class Nameless(Exception, metaclass=NamelessMeta):
    """An exception whose class cannot even be named."""

    def __str__(self) -> str:
        raise Nameless


class Colour(enum.Enum):
    RED = "client_credentials"


class _Module(types.ModuleType):
    def __getattr__(self, name: str) -> Any:
        raise SystemExit(name)


class _Dead:
    pass


def _endless() -> Iterator[int]:
    while True:
        yield 1


def _breaks() -> Iterator[int]:
    yield 1
    raise ZeroDivisionError


async def _later(*_args: object) -> None:
    """A coroutine, or a function that makes one."""


def _nested(depth: int) -> Any:
    found: Any = []
    for _ in range(depth):
        found = [found]
    return found


def _recursive() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


def _recursive_dict() -> dict[str, Any]:
    loop: dict[str, Any] = {}
    loop["client_id"] = loop
    return loop


#: What has to be put away by hand: a coroutine that is never awaited is a warning.
KEEPERS: list[Any] = []


def _coroutine() -> Any:
    made = _later()
    KEEPERS.append(made)
    return made


def animals() -> dict[str, Any]:
    """Every one of them, made anew: some can be used up."""
    plain: list[Any] = [
        None,
        True,
        False,
        0,
        -1,
        2**63,
        10**400,
        10**5000,
        -(10**5000),
        0.5,
        float("nan"),
        float("inf"),
        1j,
        decimal.Decimal("NaN"),
        fractions.Fraction(1, 3),
        "",
        "x",
        " ",
        "\0",
        "\ud800",
        "\n\n",
        "<b>x</b>",
        "{}",
        "%s",
        "é" * 70_000,
        "eyJ" + "a" * 100_000,
        b"",
        b"\xff",
        b"x" * 70_000,
        bytearray(b"eyJ"),
        memoryview(b"abc"),
        [],
        (),
        {},
        set(),
        frozenset(),
        range(10**9),
        slice(1),
        [None],
        [[]],
        ("a", "b"),
        {"a": 1},
        {None: None},
        {1: 1, 2: 2},
        {"A": "x"},
        set("ABCD"),
        {("a",): 1},
        collections.OrderedDict(a=1),
        collections.Counter("abc"),
        collections.defaultdict(list),
        types.MappingProxyType({"a": 1}),
        types.SimpleNamespace(a=1),
        Colour.RED,
        object(),
        ValueError("x"),
        KeyboardInterrupt(),
        NotImplemented,
        ...,
        [0] * 100_000,
        dict.fromkeys(range(100_000)),
        {"grant_type": "x" * 100_000},
    ]
    made = {f"{type(each).__name__} {n}": each for n, each in enumerate(plain)}
    dead = weakref.proxy(_Dead())
    made |= {
        "recursive list": _recursive(),
        "recursive dict": _recursive_dict(),
        "nested": _nested(50_000),
        "hostile": Hostile(),
        "unhashable": Unhashable(),
        "on attribute": OnAttribute(),
        "bottomless": Bottomless(),
        "class raises": ClassRaises(),
        "equal to all": EqualToAll(),
        "wrong types": WrongTypes(),
        "text": HostileText("a.b.c"),
        "dict": HostileDict(A="x"),
        "list": HostileList("ab"),
        "int": HostileInt(300),
        "dead": dead,
        "mock": MagicMock(),
        "endless": _endless(),
        "breaks": _breaks(),
        "coroutine": _coroutine(),
        "module": sys,
        "hostile module": _Module("m"),
        "class": HostileClass,
        "nameless": Nameless,
        "type": type,
        "int type": int,
        "builtins": builtins,
        "iterator": iter([1]),
        "zip": zip(),
        "file": sys.__stdin__,
    }
    kinds = (str, int, dict, list, bytes, bool, type(len))
    return made | {f"lying {kind.__name__}": lying_about(kind) for kind in kinds}


def _raises(error: Any) -> Any:
    def answer(*_args: object, **_named: object) -> None:
        raise error

    return answer


def _recurses(*args: object) -> object:
    return _recurses(*args)


def _prints(*args: object, **_named: object) -> None:
    print("noise")
    print("more noise", file=sys.stderr)


def _clears(*args: Any) -> None:
    for arg in args:
        if hasattr(arg, "clear"):
            arg.clear()


def _generates(*_args: object) -> Iterator[int]:
    yield from _endless()


async def _generates_later(*_args: object) -> Any:
    yield 1


class _Method:
    def answer(self, *_args: object) -> None:
        """A method."""


def functions() -> dict[str, Any]:
    """Functions that do what they should not."""
    errors: list[Any] = [
        SystemExit(3),
        KeyboardInterrupt(),
        RecursionError(),
        GeneratorExit(),
        MemoryError(),
        StopIteration(),
        StopAsyncIteration(),
        AssertionError("<b>"),
        ZeroDivisionError,
        BaseExceptionGroup("g", [SystemExit()]),
        UnicodeDecodeError("utf-8", b"x", 0, 1, "no"),
        OSError(2, "no such file"),
        "no exception",
        None,
        Nameless(),
        Hostile(),
        HostileClass,
        Warning("w"),
        TimeoutError(),
        IndexError("x" * 10_000),
    ]
    made = {f"raises {n}": _raises(error) for n, error in enumerate(errors)}
    return made | {
        "no arguments": lambda: None,
        "ten arguments": lambda a, b, c, d, e, f, g, h, i, j: None,
        "named only": lambda *, claims: None,
        "recurses": _recurses,
        "prints": _prints,
        "clears": _clears,
        "generates": _generates,
        "async": _later,
        "async generator": _generates_later,
        "partial": functools.partial(print, end=""),
        "method": _Method().answer,
        "unbound": _Method.answer,
        "print": print,
        "exit": sys.exit,
        "len": len,
        "exec": exec,
        "vars": vars,
        "gives itself": lambda *args: args,
    }
