"""Sections 2 and 3: connections admitted, and connections refused."""

import itertools
from collections.abc import Callable

from bench.brokers import PEERS, Connect, Contender, Gate, PlainAmqtt
from bench.children import Unavailable, run_load
from bench.mint import Issuer, spoiled
from bench.report import Column, Plan, Section, Value, median, median_ratio

CONCURRENT = (1, 32)
ADMITTED, FORGED = "admitted", "refused: forged"
_numbers = itertools.count()

FIGURES = [
    Column(key="rate", heading="per s", form=".0f"),
    Column(key="range", heading="lowest-\nhighest"),
    Column(key="p50_ms", heading="p50 ms", form=".2f"),
    Column(key="p99_ms", heading="p99 ms", form=".1f"),
    Column(key="p99_worst_ms", heading="worst\np99", form=".1f"),
    Column(key="max_ms", heading="max ms", form=".0f"),
    Column(key="cpu_us", heading="CPU us\neach", form=".0f"),
]


def admissions(plan: Plan) -> Section:
    """TCP connect, CONNECT, CONNACK, DISCONNECT, close, against every broker in turns."""
    connects = plan.count(2000, 40)
    section = Section(
        name="connect",
        title=f"2. CONNECT, {plan.rounds} rounds of {connects} with distinct client ids, medians",
        columns=[
            Column(key="concurrent", heading="at\nonce"),
            Column(key="name", heading="broker"),
            *FIGURES,
            Column(key="ratio", heading="rate,\namqtt = 1", form=".2f"),
            Column(key="p99_ratio", heading="p99,\namqtt = 1", form=".2f"),
            Column(key="client_busy", heading="client\nbusy", form=".0%"),
            Column(key="rss_mb", heading="RSS MB\nafter", form=".0f"),
        ],
        notes=[
            "p50, p99, max: from before the TCP connect to CONNACK; max, worst p99: of all rounds",
            "a rate with the client near 100 % busy is a lower bound; CPU is that of the server process",
        ],
    )
    issuer = Issuer()
    with issuer.serving() as jwks_url:
        contenders: list[Contender] = [Gate(issuer, jwks_url)]
        if plan.peers:
            contenders += [peer(issuer, jwks_url) for peer in PEERS]
        else:
            section.absent |= {peer.name: "run without peers" for peer in PEERS}
        try:
            running = _start(contenders, section, plan.count(500, 10))
            found: dict[tuple[int, str], list[dict[str, float]]] = {}
            for _ in range(plan.rounds):
                for concurrent in CONCURRENT:
                    for broker in list(running):
                        offered = [broker.connect(_new_id()) for _ in range(connects)]
                        try:
                            figures = _load(broker, offered, concurrent)
                            found.setdefault((concurrent, broker.name), []).append(figures)
                        except Unavailable as reason:
                            section.absent[broker.name] = str(reason)
                            running.remove(broker)
            memory = {broker.name: broker.child.rss() for broker in running}
        finally:
            for broker in contenders:
                broker.stop()
    found = {key: rounds for key, rounds in found.items() if key[1] in memory}  # no half contenders
    for (concurrent, name), rounds in sorted(found.items(), key=lambda item: item[0][0]):
        row = _row(rounds) | {"concurrent": concurrent, "name": name, "rss_mb": memory[name]}
        plain = found.get((concurrent, PlainAmqtt.name), [])
        row["ratio"] = _ratio(rounds, plain)
        row["p99_ratio"] = _ratio(rounds, plain, "p99_ms")
        section.rows.append(row)
    for concurrent in CONCURRENT:
        ratio = _ratio(found.get((concurrent, Gate.name), []), found.get((concurrent, PlainAmqtt.name), []))
        text = f"admitted at {concurrent} at once, gate to plain amqtt, at least 1"
        section.target(text, ratio, 1.0, at_least=True, form=".2f")
    p99 = median([figures["p99_ms"] for figures in found.get((32, Gate.name), [])])
    section.target("p99 of the gate at 32 at once, under 50 ms", p99, 50, at_least=False, form=".1f")
    return section


def refusals(plan: Plan) -> Section:
    """The gate with tokens that it refuses, next to the gate with good ones and to what amqtt admits."""
    connects = plan.count(1500, 40)
    section = Section(
        name="refuse",
        title=f"3. Refusals of the gate, {plan.rounds} rounds of {connects}, medians",
        columns=[
            Column(key="concurrent", heading="at\nonce"),
            Column(key="name", heading="connections"),
            *FIGURES,
            Column(key="ratio", heading="rate,\nadmitted = 1", form=".2f"),
            Column(key="cpu_ratio", heading="CPU,\nadmitted = 1", form=".2f"),
            Column(key="client_busy", heading="client\nbusy", form=".0%"),
        ],
        notes=[
            "forged: a new token each time, the signature is wrong; replayed: one of them again and again,",
            "as from a client that never gives up; no JWT: 20 other characters.  CONNACK 4 to all of them",
            "the CPU ratio is free of the load client's own share of the time",
        ],
    )
    issuer = Issuer()
    found: dict[tuple[int, str], list[dict[str, float]]] = {}
    with issuer.serving() as jwks_url:
        gate, amqtt = Gate(issuer, jwks_url), PlainAmqtt(issuer, jwks_url)
        replayed = _spoil(gate.connect(_new_id()))
        offers: dict[str, tuple[Contender, Callable[[], Connect], int]] = {
            ADMITTED: (gate, lambda: gate.connect(_new_id()), 0),
            FORGED: (gate, lambda: _spoil(gate.connect(_new_id())), 4),
            "refused: replayed": (gate, lambda: replayed, 4),
            "refused: no JWT": (gate, lambda: (_new_id(), "bench", "not-a-token-whatever"), 4),
            "(amqtt, anonymous: admitted)": (amqtt, lambda: amqtt.connect(_new_id()), 0),
        }
        try:
            running = _start([gate, amqtt] if plan.peers else [gate], section, plan.count(500, 10))
            if not plan.peers:
                section.absent[amqtt.name] = "run without peers"
            for _ in range(plan.rounds):
                for concurrent in CONCURRENT:
                    for name, (broker, offer, expected) in offers.items():
                        if broker in running:
                            offered = [offer() for _ in range(connects)]
                            figures = _load(broker, offered, concurrent, expected=expected)
                            found.setdefault((concurrent, name), []).append(figures)
        finally:
            gate.stop()
            amqtt.stop()
    for (concurrent, name), rounds in sorted(found.items(), key=lambda item: item[0][0]):
        row = _row(rounds) | {"concurrent": concurrent, "name": name}
        admitted = found[(concurrent, ADMITTED)]
        row["ratio"] = _ratio(rounds, admitted)
        row["cpu_ratio"] = _ratio(rounds, admitted, "cpu_us")
        section.rows.append(row)
    for concurrent in CONCURRENT:
        ratio = _ratio(found[(concurrent, FORGED)], found[(concurrent, ADMITTED)])
        text = f"forged and refused at {concurrent} at once to admitted, at least 3"
        section.target(text, ratio, 3.0, at_least=True, form=".2f")
    return section


def _start(contenders: list[Contender], section: Section, warm_up: int) -> list[Contender]:
    running = []
    for broker in contenders:
        try:
            broker.start()
            _load(broker, [broker.connect(_new_id()) for _ in range(warm_up)], 8)
            running.append(broker)
        except Unavailable as reason:
            section.absent[broker.name] = str(reason)
            broker.stop()
    return running


def _new_id() -> str:
    return f"bench-{next(_numbers):06d}"


def _spoil(connect: Connect) -> Connect:
    client_id, user_name, token = connect
    assert token is not None
    return client_id, user_name, spoiled(token)


def _load(
    broker: Contender, connects: list[Connect], concurrent: int, *, expected: int = 0
) -> dict[str, float]:
    job = {
        "host": broker.host,
        "port": broker.port,
        "concurrency": concurrent,
        "connects": connects,
        "expected": expected,
    }
    before = broker.child.cpu()
    result = run_load("load_mqtt.py", job, limit=30)
    broker.child.settle()
    if result["good"] < len(connects):
        raise Unavailable(f"answered {result['answers']}, wanted {len(connects)} CONNACK {expected}")
    figures = {key: float(result[key]) for key in ("rate", "p50_ms", "p99_ms", "max_ms", "client_busy")}
    return figures | {"cpu_us": (broker.child.cpu() - before) / len(connects) * 1e6}


def _row(rounds: list[dict[str, float]]) -> dict[str, Value]:
    row: dict[str, Value] = {
        key: median([figures[key] for figures in rounds])
        for key in ("rate", "p50_ms", "p99_ms", "cpu_us", "client_busy")
    }
    rates = [figures["rate"] for figures in rounds]
    row["range"] = f"{min(rates):.0f}-{max(rates):.0f}"
    row["p99_worst_ms"] = max(figures["p99_ms"] for figures in rounds)
    row["max_ms"] = max(figures["max_ms"] for figures in rounds)
    return row


def _ratio(ours: list[dict[str, float]], theirs: list[dict[str, float]], key: str = "rate") -> float | None:
    return median_ratio([figures[key] for figures in ours], [figures[key] for figures in theirs])
