"""A device that publishes all the time while it swaps its token: reads questions, answers in JSON.

``KIND SECONDS SWAPS``, with KIND one of ``none``, ``reauthenticate`` (MQTT 5) and ``reconnect`` (3.1.1).  It
publishes at QoS 1, 100 messages a second, and another device counts what arrives.  The answer has the delay
of each message in ms, from the moment it was due, and how many were lost or came twice.
"""

import collections
import itertools
import json
import sys
import threading
import time
from typing import Any

from labkit import Lab

_EVERY = 0.01  # seconds between two messages
_WAYS: dict[str, dict[str, Any]] = {
    "none": {"version": 5, "carrier": "enhanced"},
    "reauthenticate": {"version": 5, "carrier": "enhanced"},
    "reconnect": {"version": 4, "carrier": "password"},
}


def flow(lab: Lab, kind: str, seconds: float, swaps: int) -> dict[str, Any]:
    """Publish for that long, with so many swaps in between."""
    count = round(seconds / _EVERY)
    arrived: list[tuple[int, float]] = []
    with lab.device("reader") as reader, lab.device("bench", **_WAYS[kind]) as device:
        reader.subscribe("devices/bench/#")

        def read() -> None:
            try:
                while len({number for number, _ in arrived}) < count:
                    arrived.append((int(reader.receive(timeout=3).payload), time.perf_counter()))
            except TimeoutError:  # the rest is lost
                pass

        def swap() -> None:
            for number in range(swaps):
                time.sleep(max(0.0, start + (number + 0.5) * seconds / swaps - time.perf_counter()))
                device.refresh()

        workers = [threading.Thread(target=read), threading.Thread(target=swap)]
        start = time.perf_counter()
        for worker in workers if kind != "none" else workers[:1]:
            worker.start()
        for number in range(count):
            time.sleep(max(0.0, start + number * _EVERY - time.perf_counter()))
            device.publish("devices/bench/n", str(number))
        for worker in workers:
            if worker.ident is not None:
                worker.join()
    times = [at for _, at in arrived]
    often = collections.Counter(number for number, _ in arrived)
    return {
        "delays_ms": [(at - start - number * _EVERY) * 1000 for number, at in arrived],
        "pause_ms": max(b - a for a, b in itertools.pairwise(times)) * 1000,
        "sent": count,
        "lost": count - len(often),
        "doubled": sum(often.values()) - len(often),
    }


def main() -> None:
    with Lab() as lab:
        lab.register("bench")
        lab.register("reader", subscribe=["devices/#"])
        for line in sys.stdin:
            kind, seconds, swaps = line.split()
            print(json.dumps(flow(lab, kind, float(seconds), int(swaps))), flush=True)


if __name__ == "__main__":
    main()
