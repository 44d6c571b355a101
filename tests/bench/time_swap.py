"""A Device and a plain paho client that reconnect on demand.

Reads from standard input: first the facts of the connection as one line of JSON, then questions, ``device N``
or ``paho N``.  Each is answered with one line of JSON when N reconnects are done: how long each took as the
caller saw it, in ms.
"""

import json
import sys
import threading
import time
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from labkit.device import Device


def with_device(facts: dict[str, Any], count: int) -> list[float]:
    """Swap the token ``count`` times: fetch a new one, reconnect with it."""
    times = []
    with Device(
        facts["client_id"],
        facts["client_secret"],
        token_endpoint=facts["token_endpoint"],
        host=facts["host"],
        port=facts["port"],
    ) as device:
        for _ in range(count):
            before = time.perf_counter()
            device.refresh()
            times.append((time.perf_counter() - before) * 1000)
            device.publish(f"devices/{facts['client_id']}/alive", "yes")
    return times


def with_paho(facts: dict[str, Any], count: int) -> list[float]:
    """Disconnect and reconnect ``count`` times with the same token and nothing around paho."""
    admitted = threading.Event()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=facts["client_id"], clean_session=False)
    client.username_pw_set(facts["client_id"], facts["token"])
    client.on_connect = lambda *_: admitted.set()
    client.connect(facts["host"], facts["port"])
    client.loop_start()
    if not admitted.wait(5):
        raise SystemExit("paho was not admitted")
    times = []
    for _ in range(count):
        admitted.clear()
        before = time.perf_counter()
        client.disconnect()
        client.loop_stop()
        client.reconnect()
        client.loop_start()
        if not admitted.wait(5):
            raise SystemExit("paho was not admitted again")
        times.append((time.perf_counter() - before) * 1000)
        client.publish(f"devices/{facts['client_id']}/alive", "yes", qos=1).wait_for_publish(5)
    client.disconnect()
    client.loop_stop()
    return times


def main() -> None:
    facts = json.loads(sys.stdin.readline())
    for line in sys.stdin:
        who, _, count = line.partition(" ")
        work = {"device": with_device, "paho": with_paho}[who]
        print(json.dumps({"ms": work(facts, int(count))}), flush=True)


if __name__ == "__main__":
    main()
