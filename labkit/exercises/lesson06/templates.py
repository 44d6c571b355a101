"""Give a fleet the rights that it needs, and no more: a lock of it tries them with the lab's own broker."""

from typing import Any

from labkit.errors import RegistrationRefused
from labkit.exercises import Result, Wrong, exercise, not_yet, right
from labkit.exercises.lesson06.probing import Probe
from labkit.topics import covers

__all__ = ["rights"]

LOCKS = ("check-lock-1", "check-lock-2")
#: What every lock needs, and what is tried for it.
NEEDED = {"publish": ("locks/{}/state", "locks/{}/battery"), "subscribe": ("locks/{}/command", "news/+")}
TRIED = {"publish": NEEDED["publish"], "subscribe": ("locks/{}/command", "news/berlin", "news/oslo")}
#: What it must not reach, each with what to say when it does; ``{}`` is the lock, ``{other}`` another one.
TOO_MUCH = {
    "publish": {
        "locks/{other}/state": "another lock's: put {{client_id}} where the name of the lock belongs",
        "locks/{}/command": "and so a lock could send itself commands, and open",
        "locks/{}/state/x": "and below state there is nothing that the lock needs",
        "locks/{}/firmware": "and nobody asked for that",
        "news/berlin": "and the news are not for locks to write",
    },
    "subscribe": {
        "#": "which is everything that anybody ever publishes",
        "locks/#": "which is what all locks say and are told",
        "locks/{other}/command": "another lock's: put {{client_id}} where the name of the lock belongs",
        "locks/{}/state": "and it needs to hear commands only, not what it said itself",
        "news/#": "which is any number of levels: a city is one level",
    },
}


@exercise(
    question=(
        "Door locks: each publishes to locks/NAME/state and to locks/NAME/battery, where NAME is its client "
        "id. It listens to locks/NAME/command, and to the news of every city, as in news/berlin. Give the "
        "topic filters, two lists, with which every lock can be registered, and with which nothing more is "
        "allowed."
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
            says="cannot subscribe to news/oslo",
            answer={
                "publish": ["locks/{client_id}/state", "locks/{client_id}/battery"],
                "subscribe": ["locks/{client_id}/command", "news/berlin"],
            },
        ),
        Wrong(
            says="check-lock-2 cannot publish to locks/check-lock-2/state",
            answer={
                "publish": ["locks/check-lock-1/state", "locks/check-lock-1/battery"],
                "subscribe": ["locks/{client_id}/command", "news/+"],
            },
        ),
        Wrong(
            says="locks/check-lock-1/command/# is more than a lock needs",
            answer={
                "publish": ["locks/{client_id}/state", "locks/{client_id}/battery"],
                "subscribe": ["locks/{client_id}/command/#", "news/+"],
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
        credentials = {
            name: lab.register(name, publish=list(answer["publish"]), subscribe=list(answer["subscribe"]))
            for name in LOCKS
        }
    except RegistrationRefused as refusal:
        return not_yet(f"the authorization server refuses to register a lock: {refusal}.")
    for name, other in (LOCKS, LOCKS[::-1]):
        if mistake := _tried(lab, name, other):
            return not_yet(mistake)
        for what, needed in NEEDED.items():
            for each in getattr(credentials[name], what):
                if not any(covers(grant.format(name), each) for grant in needed):
                    return not_yet(f"{each} is more than a lock needs, to {what} to.")
    return right("two locks did all that they need with the lab's broker, and were refused everything else.")


def _tried(lab: Any, name: str, other: str) -> str:
    """One lock tries everything with the lab's broker: what to say about the first surprise, if any."""
    mark = lab.record.mark()
    wanted = {what: [each.format(name) for each in needed] for what, needed in TRIED.items()}
    too_much = {
        what: {each.format(name, other=other): why.format() for each, why in topics.items()}
        for what, topics in TOO_MUCH.items()
    }
    with Probe(lab.broker, name, lab.token(name)) as probe:
        probe.publish(*wanted["publish"], *too_much["publish"])
        accepted = lab.record.events("publish.accepted", since=mark, client_id=name)
        may = {
            "publish": {event["topic"] for event in accepted},
            "subscribe": probe.subscribe(*wanted["subscribe"], *too_much["subscribe"]),
        }
    for what, through in may.items():
        for each in wanted[what]:
            if each not in through:
                return f"{name} cannot {what} to {each}."
        for each, why in too_much[what].items():
            if each in through:
                return f"{name} may {what} to {each}, {why}."
    return ""
