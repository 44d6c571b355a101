"""Load client for brokers: TCP connect, CONNECT, CONNACK, DISCONNECT, close; N at a time, as fast as they go.

One thread and a selector, so that the client costs little; its garbage collector is off.  The time of a
connection runs from before the TCP connect to the arrival of CONNACK.  Run as a process of its own,
``load_mqtt.py JOB.json``, with host, port, concurrency, connects ([[client id, user name, password], …]),
expected (CONNACK return code) and limit (seconds).  Prints one line of JSON.
"""

import collections
import gc
import json
import selectors
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Any

DISCONNECT = b"\xe0\x00"


def connect_packet(client_id: str, user_name: str | None, password: str | None) -> bytes:
    """A CONNECT of MQTT 3.1.1, clean session, keep alive 60 s (§3.1)."""
    fields = [client_id]
    flags = 0x02
    if user_name is not None:
        flags |= 0x80
        fields.append(user_name)
    if password is not None:
        flags |= 0x40
        fields.append(password)
    body = b"\x00\x04MQTT\x04" + bytes([flags]) + b"\x00\x3c"
    for text in (field.encode() for field in fields):
        body += struct.pack("!H", len(text)) + text
    length, remaining = b"", len(body)
    while True:
        remaining, digit = divmod(remaining, 128)
        length += bytes([digit | (0x80 if remaining else 0)])
        if not remaining:
            return b"\x10" + length + body


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Do the job: bounded in count by ``connects`` and in time by ``limit``."""
    address = (job["host"], job["port"])
    packets = collections.deque(connect_packet(*connect) for connect in job["connects"])
    expected = job["expected"]
    selector = selectors.DefaultSelector()
    live: dict[socket.socket, tuple[float, bytearray]] = {}
    times: list[float] = []
    answers: collections.Counter[str] = collections.Counter()
    clock = time.perf_counter

    def begin() -> None:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(5)
        started = clock()
        try:
            sock.connect(address)
            sock.sendall(packets.popleft())
        except OSError as error:
            sock.close()
            answers[type(error).__name__] += 1
            return
        sock.setblocking(False)
        live[sock] = (started, bytearray())
        selector.register(sock, selectors.EVENT_READ)

    def advance(sock: socket.socket) -> None:
        started, seen = live[sock]
        try:
            data = sock.recv(64)
        except OSError as error:
            answer = type(error).__name__
        else:
            seen += data
            if data and len(seen) < 4:
                return
            answer = f"CONNACK {seen[3]}" if seen[:2] == b"\x20\x02" and len(seen) >= 4 else "closed"
        finished = clock()
        answers[answer] += 1
        if answer == f"CONNACK {expected}":
            times.append(finished - started)
            if expected == 0:
                sock.send(DISCONNECT)
        selector.unregister(sock)
        del live[sock]
        sock.close()

    gc.collect()
    gc.disable()
    start, cpu = clock(), time.process_time()
    deadline = start + job["limit"]
    while (packets or live) and clock() < deadline:
        while packets and len(live) < job["concurrency"]:
            begin()
        for key, _ in selector.select(1.0):
            advance(key.fileobj)  # type: ignore[arg-type]
    seconds = clock() - start
    client = time.process_time() - cpu
    if packets or live:
        answers["not within the time limit"] += len(packets) + len(live)
    times.sort()
    return {
        "seconds": seconds,
        "good": len(times),
        "rate": len(times) / seconds,
        "answers": dict(answers),
        "p50_ms": percentile(times, 0.50),
        "p99_ms": percentile(times, 0.99),
        "max_ms": percentile(times, 1.0),
        "client_busy": client / seconds,
    }


def percentile(times: list[float], share: float) -> float | None:
    """The time in ms that ``share`` of the sorted ``times`` (in seconds) stay within."""
    return times[min(len(times) - 1, int(share * len(times)))] * 1000 if times else None


if __name__ == "__main__":
    print(json.dumps(run(json.loads(Path(sys.argv[1]).read_text()))))
