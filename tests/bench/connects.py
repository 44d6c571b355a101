"""Sections 2 and 3: connections admitted, and connections refused."""

import itertools

from bench.brokers import PEERS, Connect, Contender, Gate, PlainAmqtt
from bench.children import Unavailable, run_load
from bench.mint import Issuer, spoiled
from bench.report import Column, Plan, Section, Value, median, median_ratio

CONCURRENT = (1, 32)
_numbers = itertools.count()

FIGURES = [
    Column(key="rate", heading="per s", form=".0f"),
    Column(key="lowest", heading="lowest", form=".0f"),
    Column(key="highest", heading="highest", form=".0f"),
    Column(key="p50_ms", heading="p50 ms", form=".2f"),
    Column(key="p99_ms", heading="p99 ms", form=".1f"),
    Column(key="p99_worst_ms", heading="worst p99", form=".1f"),
    Column(key="max_ms", heading="max ms", form=".0f"),
    Column(key="cpu_us", heading="CPU us", form=".0f"),
]


def admissions(plan: Plan) -> Section:
    """TCP connect, CONNECT, CONNACK, DISCONNECT, close, against every broker in turns."""
    connects = plan.count(2000, 40)
    section = Section(
        name="connect",
        title=f"2. CONNECT, {plan.rounds} rounds of {connects} with distinct client ids, medians",
        columns=[
            Column(key="concurrent", heading="at once"),
            Column(key="name", heading="broker"),
            *FIGURES,
            Column(key="ratio", heading="rate: amqtt = 1", form=".2f"),
            Column(key="client_busy", heading="client busy", form=".0%"),
            Column(key="rss_mb", heading="RSS MB after", form=".0f"),
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
        row["ratio"] = _ratio(rounds, found.get((concurrent, PlainAmqtt.name), []))
        section.rows.append(row)
    for concurrent in CONCURRENT:
        ratio = _ratio(found.get((concurrent, Gate.name), []), found.get((concurrent, PlainAmqtt.name), []))
        text = f"admitted at {concurrent} at once, gate to plain amqtt, at least 1"
        section.target(text, ratio, 1.0, at_least=True, form=".2f")
    p99 = median([figures["p99_ms"] for figures in found.get((32, Gate.name), [])])
    section.target("p99 of the gate at 32 at once, under 50 ms", p99, 50, at_least=False, form=".1f")
    return section


def refusals(plan: Plan) -> Section:
    """The gate with spoiled signatures next to the gate with good tokens."""
    connects = plan.count(2000, 40)
    section = Section(
        name="refuse",
        title=f"3. The gate: refusals (signature does not fit), {plan.rounds} rounds of {connects}, medians",
        columns=[
            Column(key="concurrent", heading="at once"),
            Column(key="name", heading="connections"),
            *FIGURES,
            Column(key="ratio", heading="rate: admitted = 1", form=".2f"),
            Column(key="cpu_ratio", heading="CPU: admitted = 1", form=".2f"),
            Column(key="client_busy", heading="client busy", form=".0%"),
        ],
        notes=[
            "the CPU ratio is free of the load client's own limit; refused clients wait for CONNACK 4 only"
        ],
    )
    issuer = Issuer()
    found: dict[tuple[int, str], list[dict[str, float]]] = {}
    with issuer.serving() as jwks_url:
        gate = Gate(issuer, jwks_url)
        try:
            if not _start([gate], section, plan.count(500, 10)):
                return section
            for _ in range(plan.rounds):
                for concurrent in CONCURRENT:
                    offered = [gate.connect(_new_id()) for _ in range(connects)]
                    figures = _load(gate, offered, concurrent)
                    found.setdefault((concurrent, "admitted"), []).append(figures)
                    offered = [_spoil(gate.connect(_new_id())) for _ in range(connects)]
                    figures = _load(gate, offered, concurrent, expected=4)
                    found.setdefault((concurrent, "refused"), []).append(figures)
        finally:
            gate.stop()
    for (concurrent, kind), rounds in found.items():
        row = _row(rounds) | {"concurrent": concurrent, "name": kind}
        admitted = found[(concurrent, "admitted")]
        row["ratio"] = _ratio(rounds, admitted)
        row["cpu_ratio"] = median_ratio([f["cpu_us"] for f in rounds], [f["cpu_us"] for f in admitted])
        section.rows.append(row)
    for concurrent in CONCURRENT:
        ratio = _ratio(found[(concurrent, "refused")], found[(concurrent, "admitted")])
        text = f"refused to admitted at {concurrent} at once, at least 3"
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
    row["lowest"] = min(figures["rate"] for figures in rounds)
    row["highest"] = max(figures["rate"] for figures in rounds)
    row["p99_worst_ms"] = max(figures["p99_ms"] for figures in rounds)
    row["max_ms"] = max(figures["max_ms"] for figures in rounds)
    return row


def _ratio(ours: list[dict[str, float]], theirs: list[dict[str, float]]) -> float | None:
    return median_ratio([f["rate"] for f in ours], [f["rate"] for f in theirs])
