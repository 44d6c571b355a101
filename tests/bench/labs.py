"""Section 4: how long a lab takes to come and to go, and how much memory it holds."""

import itertools
import math

import jwt

from bench.children import Child, Unavailable, python, run_load
from bench.issuers import labkit_up
from bench.mint import spoiled
from bench.report import Column, Plan, Section, median

SCOPE = "mqtt.connect"
DEVICES = 200


def start(plan: Plan) -> Section:
    """``Lab()`` and ``stop()`` again and again in one process."""
    count = plan.count(40, 2)
    section = Section(
        name="start",
        title=f"4a. A lab in a warm process: {count} times up and down, in ms",
        columns=[
            Column(key="name", heading="what"),
            *(Column(key=key, heading=key, form=".1f") for key in ("median", "p90", "max")),
        ],
    )
    with python("time_lab.py", str(count)) as child:
        facts = child.facts(120)
    for name, times in (("Lab() up", facts["up_ms"]), ("Lab.stop()", facts["down_ms"])):
        ordered = sorted(times)
        p90 = ordered[math.ceil(0.9 * len(ordered)) - 1]
        section.rows.append({"name": name, "median": median(times), "p90": p90, "max": ordered[-1]})
    for name, key in (
        ("import labkit's Lab", "import_ms"),
        ("first Lab() and stop() of a process", "first_ms"),
    ):
        section.rows.append({"name": name, "median": facts[key]})
    section.target(
        "Lab() up, median in ms, under 100", median(facts["up_ms"]), 100, at_least=False, form=".1f"
    )
    section.notes.append(f"threads left over after {count} labs: {facts['threads_left']}")
    return section


def memory(plan: Plan) -> Section:
    """``labkit up`` before, during and after a load of admitted and of refused connections."""
    connects = plan.count(10_000, 40)
    section = Section(
        name="memory",
        title=f"4b. Memory of `labkit up` with {plan.count(DEVICES, 4)} devices, in MB",
        columns=[
            Column(key="name", heading="after"),
            Column(key="rss_mb", heading="RSS", form=".1f"),
            Column(key="growth_mb", heading="growth", form="+.1f"),
            Column(key="bytes_each", heading="bytes per CONNECT", form="+.0f"),
        ],
        notes=["the record keeps the last 10,000 events by design: the second load of a kind shows the rest"],
    )
    names = [f"bench-{number}" for number in range(plan.count(DEVICES, 4))]
    with labkit_up(*names) as child:
        facts = child.facts(30)
        child.settle()
        last = child.rss()
        section.rows.append({"name": "start, idle", "rss_mb": last})
        tokens = _tokens(facts)
        child.settle()
        section.rows.append(_step(f"{len(tokens)} token requests", child, last, None))
        for kind, expected in (("refused", 4), ("refused", 4), ("admitted", 0), ("admitted", 0)):
            last = child.rss()
            offered = {name: spoiled(token) if expected else token for name, token in tokens.items()}
            _load(facts, offered, connects, expected)
            child.settle()
            section.rows.append(_step(f"{connects} {kind}", child, last, connects))
        section.rows.append({"name": "peak", "rss_mb": child.peak_rss()})
    return section


def _tokens(facts: dict) -> dict[str, str]:  # type: ignore[type-arg]
    job = {
        "url": facts["token_endpoint"],
        "connections": 4,
        "requests": [[device["client_id"], device["client_secret"]] for device in facts["devices"]],
        "scope": SCOPE,
        "keep": True,
    }
    result = run_load("load_http.py", job, limit=30)
    tokens = result["tokens"]
    if len(tokens) != len(facts["devices"]):
        raise Unavailable(f"the authorization server answered {result['answers']}")
    unverified = {"verify_signature": False}
    return {jwt.decode(token, options=unverified)["client_id"]: token for token in tokens}


def _load(facts: dict, tokens: dict[str, str], connects: int, expected: int) -> None:  # type: ignore[type-arg]
    offered = itertools.islice(itertools.cycle(tokens.items()), connects)
    job = {
        "host": facts["mqtt"]["host"],
        "port": facts["mqtt"]["port"],
        "concurrency": 2,  # few at once, so that no client id comes twice at a time
        "connects": [[name, name, token] for name, token in offered],
        "expected": expected,
    }
    result = run_load("load_mqtt.py", job, limit=90)
    if result["good"] < connects:
        raise Unavailable(f"the broker answered {result['answers']}, wanted {connects} CONNACK {expected}")


def _step(name: str, child: Child, before: float, connects: int | None) -> dict[str, float | str | None]:
    now = child.rss()
    growth = now - before
    each = growth * 1e6 / connects if connects else None
    return {"name": name, "rss_mb": now, "growth_mb": growth, "bytes_each": each}
