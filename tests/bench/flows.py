"""Section 7: what a stream of messages notices of a token swap, by re-authentication and by reconnect."""

import math

from bench.children import python
from bench.report import Column, Plan, Section, median

_KINDS = {
    "none": "no swap",
    "reauthenticate": "re-authentication (MQTT 5)",
    "reconnect": "reconnect (MQTT 3.1.1)",
}


def measure(plan: Plan) -> Section:
    """100 messages a second at QoS 1, the three kinds in turns."""
    rounds, seconds, swaps = plan.count(3, 1), plan.count(10, 1), plan.count(10, 2)
    section = Section(
        name="flow",
        title=f"7. QoS 1 at 100 messages/s with {swaps} token swaps in {seconds} s, {rounds} rounds, in ms",
        columns=[
            Column(key="name", heading="what"),
            Column(key="lost", heading="lost", form=".0f"),
            Column(key="doubled", heading="doubled", form=".0f"),
            *(Column(key=key, heading=key, form=".2f") for key in ("p50", "p99", "max")),
            Column(key="pause", heading="longest pause", form=".1f"),
            Column(key="ratio", heading="p99: no swap = 1", form=".2f"),
        ],
        notes=[
            "delay: from the moment a message was due to its arrival at another device, all in one process",
            "longest pause: between two arrivals; without any gap it is 10 ms and the machine's noise",
        ],
    )
    answers: dict[str, list[dict]] = {kind: [] for kind in _KINDS}  # type: ignore[type-arg]
    with python("time_flow.py") as child:
        for _ in range(rounds):
            for kind in _KINDS:
                answers[kind].append(child.ask(f"{kind} {seconds} {swaps}", timeout=4 * seconds + 30))
    p99 = {kind: median([_part(each, 0.99) for each in found]) for kind, found in answers.items()}
    for kind, name in _KINDS.items():
        found, ours, base = answers[kind], p99[kind], p99["none"]
        section.rows.append(
            {
                "name": name,
                "lost": sum(each["lost"] for each in found),
                "doubled": sum(each["doubled"] for each in found),
                "p50": median([_part(each, 0.5) for each in found]),
                "p99": ours,
                "max": max(max(each["delays_ms"]) for each in found),
                "pause": max(each["pause_ms"] for each in found),
                "ratio": ours / base if ours and base else None,
            }
        )
    lost = sum(row["lost"] + row["doubled"] for row in section.rows[:2])  # type: ignore[operator,misc]
    section.target("re-authentication: messages lost or doubled", lost, 0, at_least=False, form=".0f")
    if p99["reauthenticate"] is not None and p99["none"] is not None:
        more = p99["reauthenticate"] - p99["none"]
        section.target("re-authentication: p99 over no swap, in ms", more, 20, at_least=False, form=".1f")
    return section


def _part(answer: dict, part: float) -> float:  # type: ignore[type-arg]
    ordered = sorted(answer["delays_ms"])
    value: float = ordered[math.ceil(part * len(ordered)) - 1]
    return value
