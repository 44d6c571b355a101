"""Section 6: how long a device is away while it swaps its token."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator

from bench.children import Unavailable, python, run_load
from bench.issuers import labkit_up
from bench.report import Column, Plan, Section, median

CLIENT_ID = "bench"


class Witness:
    """Stands between a client and the broker, passes bytes on, and notes when the client was away.

    The gap starts when the client says DISCONNECT or closes, and ends when the next CONNACK passes.
    """

    def __init__(self, host: str, port: int) -> None:
        self._broker = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.gaps: list[float] = []
        self._left: float | None = None
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                broker = socket.create_connection(self._broker, timeout=10)
                for sock in (client, broker):
                    sock.settimeout(None)
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._pass_up, args=(client, broker), daemon=True).start()
                threading.Thread(target=self._pass_down, args=(broker, client), daemon=True).start()

    def _pass_up(self, client: socket.socket, broker: socket.socket) -> None:
        said_goodbye = False
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                if data.endswith(b"\xe0\x00") and not said_goodbye:
                    said_goodbye = True
                    self._note_absence()
                broker.sendall(data)
        if not said_goodbye:
            self._note_absence()
        with contextlib.suppress(OSError):
            broker.shutdown(socket.SHUT_WR)

    def _pass_down(self, broker: socket.socket, client: socket.socket) -> None:
        first = True
        with contextlib.suppress(OSError):
            while data := broker.recv(65536):
                if first:
                    self._note_return()
                    first = False
                client.sendall(data)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_WR)
        broker.close()

    def _note_absence(self) -> None:
        with self._lock:
            self._left = time.perf_counter()

    def _note_return(self) -> None:
        with self._lock:
            if self._left is not None:
                self.gaps.append((time.perf_counter() - self._left) * 1000)
            self._left = None

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()


@contextlib.contextmanager
def _witness(host: str, port: int) -> Iterator[Witness]:
    witness = Witness(host, port)
    try:
        yield witness
    finally:
        witness.close()


def measure(plan: Plan) -> Section:
    """The gap of ``Device.refresh()`` next to that of a plain reconnect of paho, in turns."""
    rounds, swaps = plan.count(5, 1), plan.count(20, 3)
    section = Section(
        name="swap",
        title=f"6. Token swap by reconnect, {rounds} rounds of {swaps}, in ms",
        columns=[
            Column(key="name", heading="what"),
            Column(key="median_ms", heading="gap median", form=".2f"),
            Column(key="max_ms", heading="gap max", form=".2f"),
            Column(key="call_ms", heading="whole call", form=".2f"),
            Column(key="ratio", heading="gap: plain = 1", form=".2f"),
        ],
        notes=[
            "gap: from DISCONNECT (or the close) to the next CONNACK, seen by a relay between the two",
            "the whole call of Device.refresh() includes fetching the new token over HTTP",
        ],
    )
    gaps: dict[str, list[float]] = {"device": [], "paho": []}
    calls: dict[str, list[float]] = {"device": [], "paho": []}
    with labkit_up(CLIENT_ID) as server, python("time_swap.py") as client:
        facts = server.facts(30)
        device = next(device for device in facts["devices"] if device["client_id"] == CLIENT_ID)
        with _witness(facts["mqtt"]["host"], facts["mqtt"]["port"]) as witness:
            connection = {
                "client_id": CLIENT_ID,
                "client_secret": device["client_secret"],
                "token": _token(facts["token_endpoint"], device["client_secret"]),
                "token_endpoint": facts["token_endpoint"],
                "host": "127.0.0.1",
                "port": witness.port,
            }
            for number in range(rounds):
                for who in gaps:
                    seen = len(witness.gaps)
                    question = f"{who} {swaps}"
                    if number == 0 and who == "device":
                        question = json.dumps(connection) + "\n" + question
                    answer = client.ask(question, timeout=60)
                    gaps[who] += witness.gaps[seen:][
                        -swaps:
                    ]  # the first may be the pause between two clients
                    calls[who] += answer["ms"]
    plain = median(gaps["paho"])
    for who, name in (("device", "Device.refresh()"), ("paho", "plain paho: disconnect, reconnect")):
        # On a busy machine the relay's threads may see a return before the absence: that gap is unknown.
        if len(gaps[who]) < max(1, rounds * swaps // 2):
            raise Unavailable(f"{name}: only {len(gaps[who])} of {rounds * swaps} reconnects were seen")
        gap = median(gaps[who])
        section.rows.append(
            {
                "name": name,
                "median_ms": gap,
                "max_ms": max(gaps[who]),
                "call_ms": median(calls[who]),
                "ratio": gap / plain if gap and plain else None,
            }
        )
    return section


def _token(url: str, secret: str) -> str:
    job = {"url": url, "connections": 1, "requests": [[CLIENT_ID, secret]], "scope": _SCOPE, "keep": True}
    result = run_load("load_http.py", job, limit=10)
    if not result["tokens"]:
        raise Unavailable(f"the authorization server answered {result['answers']}")
    token: str = result["tokens"][0]
    return token


_SCOPE = f"mqtt.connect mqtt.publish:devices/{CLIENT_ID}/#"
