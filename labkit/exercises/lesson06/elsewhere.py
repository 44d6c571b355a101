"""Find topic filters that other brokers' formats cannot say, or only say narrower."""

from collections.abc import Mapping
from typing import Any

from labkit import rights
from labkit.exercises import Result, Wrong, exercise, not_yet, right
from labkit.topics import valid_filter

__all__ = ["lost"]

NAME = "lamp-1"
#: For each blank: the right it is, and in which formats it is exact.
ASKED: Mapping[int, tuple[str, frozenset[str]]] = {
    1: ("publish", frozenset({"EMQX", "AIF", "AWS"})),
    2: ("subscribe", frozenset({"AIF"})),
}


@exercise(
    question=(
        "Give two topic filters. 1: one to publish to, which RabbitMQ has to leave out, and which the other "
        "three say exactly. 2: one to subscribe to, which only AIF says exactly."
    ),
    cell="""
lost = {
    1: ____,
    2: ____,
}
ex.lost.check(lost)
""",
    solution="""
lost = {
    1: "devices/lamp.1/state",
    2: "news/+",
}
ex.lost.check(lost)
""",
    wrong=(
        Wrong(says="AWS: left out", answer={1: "devices/+/state", 2: "news/+"}),
        Wrong(says="RabbitMQ: exact", answer={1: "devices/lamp-1/#", 2: "news/+"}),
        Wrong(
            says="2, to subscribe to devices/+/state: RabbitMQ: narrower, EMQX: exact",
            answer={1: "lamp.1", 2: "devices/+/state"},
        ),
        Wrong(says="no valid topic filter", answer={1: "a/#/b", 2: "news/+"}),
        Wrong(says="begins with $share", answer={1: "lamp.1", 2: "$share/g/news"}),
        Wrong(says="one topic filter for each", answer={1: "lamp.1"}),
    ),
    hints=(
        "Change the filters of panel-1 above, and read the notes.",
        "1: RabbitMQ writes a dot for a slash. 2: what does a rule of EMQX with + do, when # is wanted?",
        "1: a name with a dot in it. 2: a filter whose last level is +.",
    ),
    why=(
        "topic filters are MQTT's own language, and AIF uses it as it is. The others have patterns: what "
        "they cannot say exactly has to become narrower, since wider would be a right that nobody granted."
    ),
)
def lost(answer: Any) -> Result:
    if type(answer) is not dict or set(answer) != set(ASKED):
        return not_yet("give one topic filter for each of the numbers 1 and 2.")
    for number, (action, exact) in ASKED.items():
        topic_filter = answer[number]
        if type(topic_filter) is not str or len(topic_filter) > 100 or not valid_filter(topic_filter):
            return not_yet(f"what you give for {number} is no valid topic filter, or too long.")
        try:
            found = _rendered(action, topic_filter)
        except ValueError:
            return not_yet(f"what you give for {number} cannot be a right: it begins with $share.")
        if {name for name, how in found.items() if how == "exact"} != exact:
            said = ", ".join(f"{name}: {how}" for name, how in found.items())
            return not_yet(f"{number}, to {action} to {ascii(topic_filter)[1:-1]}: {said}.")
    return right("asked of the four translations themselves.")


def _rendered(action: str, topic_filter: str) -> dict[str, str]:
    """How each format says this one right."""
    publish, subscribe = ([topic_filter] if action == each else [] for each in ("publish", "subscribe"))
    mine = rights.of(NAME, publish=publish, subscribe=subscribe)
    forms = {
        "RabbitMQ": rights.rabbitmq(mine),
        "EMQX": rights.emqx(mine),
        "AWS": rights.aws(mine, region="eu-west-1", account="123456789012"),
        "AIF": rights.aif(mine),
    }
    return {name: _how(form) for name, form in forms.items()}


def _how(form: rights.Rendered) -> str:
    if form.exact:
        return "exact"
    return "left out" if any("left out" in note for note in form.notes) else "narrower"
