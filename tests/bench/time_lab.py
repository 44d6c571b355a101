"""Start and stop labs in one warm process: ``time_lab.py COUNT``; prints one line of JSON, times in ms."""

import json
import sys
import threading
import time


def main(count: int) -> None:
    started = time.perf_counter()
    from labkit import Lab

    imported = time.perf_counter()
    Lab().stop()  # the first one also imports and compiles what is needed on first use
    first = time.perf_counter() - imported
    threads = threading.active_count()
    up, down = [], []
    for _ in range(count):
        before = time.perf_counter()
        lab = Lab()
        running = time.perf_counter()
        lab.stop()
        up.append((running - before) * 1000)
        down.append((time.perf_counter() - running) * 1000)
    facts = {
        "import_ms": (imported - started) * 1000,
        "first_ms": first * 1000,
        "up_ms": up,
        "down_ms": down,
        "threads_left": threading.active_count() - threads,
    }
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
