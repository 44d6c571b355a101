"""Give a fleet the rights that it needs, and no more: a lock of it tries them with the lab's own broker."""

from typing import Any

from labkit.errors import RegistrationRefused
from labkit.exercises import Result, Wrong, exercise, not_yet, right
from labkit.exercises.lesson06.probing import Probe

__all__ = ["rights"]

LOCK, OTHER = "check-lock-1", "check-lock-2"
NEEDED = {
    "publish": (f"locks/{LOCK}/state", f"locks/{LOCK}/battery"),
    "subscribe": (f"locks/{LOCK}/command", "news/berlin"),
}
#: What it must not reach, each with what to say when it does.
TOO_MUCH = {
    "publish": {
        f"locks/{OTHER}/state": "another lock's: put {client_id} where the name of the lock belongs",
        f"locks/{LOCK}/command": "and so a lock could send itself commands, and open",
        f"locks/{LOCK}/state/x": "and below state there is nothing that the lock needs",
        f"locks/{LOCK}/firmware": "and nobody asked for that",
        "news/berlin": "and the news are not for locks to write",
    },
    "subscribe": {
        "#": "which is everything that anybody ever publishes",
        "locks/#": "which is what all locks say and are told",
        f"locks/{OTHER}/command": "another lock's: put {client_id} where the name of the lock belongs",
        f"locks/{LOCK}/state": "and it needs to hear commands only, not what it said itself",
        "news/#": "which is any number of levels: a city is one level",
    },
}


@exercise(
    question=(
        "Door locks: each publishes to locks/<its client id>/state and to locks/<its client id>/battery. It "
        "listens to locks/<its client id>/command, and to the news of every city, as in news/berlin. Give "
        "the topic filters, two lists, with which every lock can be registered, and nothing more than that "
        "is allowed."
    ),
    cell="""
rights = {
    "publish": ____,
    "subscribe": ____,
}
ex.rights.check(rights, lab)
""",
    solution="""
rights = {
    "publish": ["locks/{client_id}/state", "locks/{client_id}/battery"],
    "subscribe": ["locks/{client_id}/command", "news/+"],
}
ex.rights.check(rights, lab)
""",
    wrong=(
        Wrong(says="send itself commands", answer={"publish": ["locks/{client_id}/#"], "subscribe": []}),
        Wrong(
            says="another lock's", answer={"publish": ["locks/+/state", "locks/+/battery"], "subscribe": []}
        ),
        Wrong(
            says="cannot publish to locks/check-lock-1/battery",
            answer={"publish": ["locks/{client_id}/state"], "subscribe": []},
        ),
        Wrong(
            says="cannot subscribe to news/berlin",
            answer={
                "publish": ["locks/{client_id}/state", "locks/{client_id}/battery"],
                "subscribe": ["locks/{client_id}/command"],
            },
        ),
        Wrong(
            says="a city is one level",
            answer={
                "publish": ["locks/{client_id}/state", "locks/{client_id}/battery"],
                "subscribe": ["locks/{client_id}/command", "news/#"],
            },
        ),
        Wrong(
            says="everything that anybody ever publishes",
            answer={
                "publish": ["locks/{client_id}/state", "locks/{client_id}/battery"],
                "subscribe": ["#"],
            },
        ),
        Wrong(says="no placeholder", answer={"publish": ["locks/{id}/state"], "subscribe": []}),
        Wrong(says="in square brackets", answer={"publish": "locks/{client_id}/state", "subscribe": []}),
    ),
    hints=(
        "One filter for each thing that it does is often better than one filter for all.",
        "{client_id} stands for the name of the lock, and + for any city.",
        'Publish: "locks/{client_id}/state" and the same with battery. Two more, to subscribe.',
    ),
    why=(
        "a template is written once and fits every device. # would be shorter, and would let a stolen lock "
        "open itself: what a device hears and what it says are two rights, and each should be as narrow as "
        "its work."
    ),
)
def rights(answer: Any, lab: Any) -> Result:
    if type(answer) is not dict or set(answer) != set(NEEDED):
        return not_yet('give a dict with "publish" and "subscribe".')
    for what in NEEDED:
        filters = answer[what]
        if type(filters) not in (list, tuple) or not all(type(each) is str for each in filters):
            return not_yet(f'"{what}" takes a list of topic filters: texts in square brackets.')
        if len(filters) > 10 or any(len(each) > 100 for each in filters):
            return not_yet(f'"{what}" needs a few short filters only.')
    try:
        for name in (OTHER, LOCK):
            lab.register(name, publish=list(answer["publish"]), subscribe=list(answer["subscribe"]))
    except RegistrationRefused as refusal:
        return not_yet(f"the authorization server refuses to register a lock: {refusal}.")
    published, subscribed = _tried(lab)
    for topic, arrives in published.items():
        if topic in NEEDED["publish"] and not arrives:
            return not_yet(f"{LOCK} cannot publish to {topic}.")
        if topic not in NEEDED["publish"] and arrives:
            return not_yet(f"{LOCK} may publish to {topic}, {TOO_MUCH['publish'][topic]}.")
    for topic_filter, granted in subscribed.items():
        if topic_filter in NEEDED["subscribe"] and not granted:
            return not_yet(f"{LOCK} cannot subscribe to {topic_filter}.")
        if topic_filter not in NEEDED["subscribe"] and granted:
            return not_yet(f"{LOCK} may subscribe to {topic_filter}, {TOO_MUCH['subscribe'][topic_filter]}.")
    return right(
        f"{LOCK} did its four things with the lab's broker, and was refused {len(_too_much())} others."
    )


def _too_much() -> list[str]:
    return [each for topics in TOO_MUCH.values() for each in topics]


def _tried(lab: Any) -> tuple[dict[str, bool], dict[str, bool]]:
    """One lock tries everything with the lab's broker: which messages went through, which filters did."""
    mark = lab.record.mark()
    with Probe(lab.broker, LOCK, lab.token(LOCK)) as probe:
        topics = [*NEEDED["publish"], *TOO_MUCH["publish"]]
        probe.publish(*topics)
        accepted = lab.record.events("publish.accepted", since=mark, client_id=LOCK)
        through = {event["topic"] for event in accepted}
        return (
            {topic: topic in through for topic in topics},
            probe.subscribe(*NEEDED["subscribe"], *TOO_MUCH["subscribe"]),
        )
