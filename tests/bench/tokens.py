"""Section 1: requests for a token."""

import jwt

from bench.children import Unavailable, run_load
from bench.issuers import CLIENT_ID, PEERS, SCOPE, AuthorizationServer, Labkit, install_node_peers
from bench.report import Column, Plan, Section, Value, median, median_ratio

CONNECTIONS = 8

COLUMNS = [
    Column(key="name", heading="authorization server"),
    Column(key="rate", heading="requests\nper s", form=".0f"),
    Column(key="range", heading="lowest-\nhighest"),
    Column(key="p50_ms", heading="p50 ms", form=".2f"),
    Column(key="cpu_us", heading="CPU us\neach", form=".0f"),
    Column(key="cpu_ratio", heading="CPU,\nlabkit = 1", form=".2f"),
    Column(key="client_busy", heading="client\nbusy", form=".0%"),
    Column(key="token", heading="token"),
]


def measure(plan: Plan) -> Section:
    """client_credentials over 8 keep-alive connections, the contenders taking turns."""
    requests = plan.count(3000, 40)
    section = Section(
        name="tokens",
        title=f"1. Token requests (client_credentials, Basic) on {CONNECTIONS} keep-alive connections, "
        f"{plan.rounds} rounds of {requests}, medians",
        columns=COLUMNS,
        notes=[
            "CPU is that of the whole server process, garbage collection and compiler threads included",
            "labkit's process also holds the idle broker; oauth2-mock-server checks no client and no secret",
        ],
    )
    servers: list[AuthorizationServer] = [Labkit()]
    if plan.peers:
        try:
            folder = install_node_peers(plan.cache)
            servers += [peer(folder) for peer in PEERS]
        except Unavailable as reason:
            section.absent |= {peer.name: str(reason) for peer in PEERS}
    else:
        section.absent |= {peer.name: "run without peers" for peer in PEERS}
    running: list[AuthorizationServer] = []
    try:
        for server in servers:
            try:
                server.start()
                _load(
                    server, plan.count(6000, 20)
                )  # V8 compiles what is hot; give everybody the same warm-up
                running.append(server)
            except Unavailable as reason:
                section.absent[server.name] = str(reason)
        found: dict[str, list[dict[str, float]]] = {server.name: [] for server in running}
        tokens: dict[str, str] = {}
        for _ in range(plan.rounds):
            for server in list(running):
                try:
                    figures, tokens[server.name] = _load(server, requests)
                    found[server.name].append(figures)
                except Unavailable as reason:  # half a contender would skew the medians
                    section.absent[server.name] = str(reason)
                    running.remove(server)
                    del found[server.name]
    finally:
        for server in servers:
            server.stop()
    for name, rounds in found.items():
        section.rows.append(_row(name, rounds, found.get(Labkit.name, []), tokens[name]))
    provider = next((name for name in found if name.startswith("oidc-provider")), None)
    ratio = None
    if provider and Labkit.name in found:
        ratio = median_ratio(_cpu(found[Labkit.name]), _cpu(found[provider]))
    section.target(
        "CPU of a token request, labkit to oidc-provider, at most 1", ratio, 1.0, at_least=False, form=".2f"
    )
    return section


def _load(server: AuthorizationServer, requests: int) -> tuple[dict[str, float], str]:
    job = {
        "url": server.url,
        "connections": CONNECTIONS,
        "requests": [[CLIENT_ID, server.secret]] * requests,
        "scope": SCOPE,
        "keep": False,
    }
    before = server.child.cpu()
    result = run_load("load_http.py", job, limit=30)
    server.child.settle()
    if result["good"] < requests:
        raise Unavailable(f"answered {result['answers']}")
    cpu = (server.child.cpu() - before) / requests * 1e6
    figures = {key: float(result[key]) for key in ("rate", "p50_ms", "client_busy")}
    return figures | {"cpu_us": cpu}, result["answer"]["access_token"]


def _row(
    name: str, rounds: list[dict[str, float]], ours: list[dict[str, float]], token: str
) -> dict[str, Value]:
    header = jwt.get_unverified_header(token)
    rates = [figures["rate"] for figures in rounds]
    return {
        "name": name,
        "rate": median(rates),
        "range": f"{min(rates):.0f}-{max(rates):.0f}",
        "p50_ms": median([figures["p50_ms"] for figures in rounds]),
        "cpu_us": median(_cpu(rounds)),
        "cpu_ratio": median_ratio(_cpu(rounds), _cpu(ours)),
        "client_busy": median([figures["client_busy"] for figures in rounds]),
        "token": f"{header['alg']} {header.get('typ')} {len(token)} B",
    }


def _cpu(rounds: list[dict[str, float]]) -> list[float]:
    return [figures["cpu_us"] for figures in rounds]
