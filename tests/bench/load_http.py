"""Load client for authorization servers: POST over keep-alive connections, one request at a time on each.

One thread and a selector; its garbage collector is off.  Run as a process of its own, ``load_http.py
JOB.json``, with url, connections, requests ([[client id, secret], …], each sent once, as Basic), scope, keep
(true to return the tokens) and limit (seconds).  Prints one line of JSON.
"""

import base64
import collections
import gc
import json
import selectors
import socket
import sys
import time
import urllib.parse
from pathlib import Path
from typing import Any


def token_request(url: urllib.parse.SplitResult, client_id: str, secret: str, scope: str) -> bytes:
    """The bytes of a client_credentials request (RFC 6749 §4.4.2, §2.3.1)."""
    quoted = f"{urllib.parse.quote_plus(client_id)}:{urllib.parse.quote_plus(secret)}"
    basic = base64.b64encode(quoted.encode()).decode()
    body = urllib.parse.urlencode({"grant_type": "client_credentials", "scope": scope})
    return (
        f"POST {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nAccept: application/json\r\n"
        f"Authorization: Basic {basic}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def whole_body(answer: bytearray) -> bytes | None:
    """The body, once it is all there; the servers measured here all send Content-Length."""
    head, blank, body = bytes(answer).partition(b"\r\n\r\n")
    if not blank:
        return None
    length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
    return body if len(body) >= int(length) else None


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Do the job: bounded in count by ``requests`` and in time by ``limit``."""
    url = urllib.parse.urlsplit(job["url"])
    requests = collections.deque(token_request(url, *who, job["scope"]) for who in job["requests"])
    selector = selectors.DefaultSelector()
    live: dict[socket.socket, tuple[float, bytearray]] = {}
    idle: list[socket.socket] = []
    times: list[float] = []
    bodies: list[bytes] = []
    answers: collections.Counter[str] = collections.Counter()
    clock = time.perf_counter
    for _ in range(job["connections"]):
        sock = socket.create_connection((url.hostname, url.port), timeout=5)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(sock, selectors.EVENT_READ)
        idle.append(sock)

    def advance(sock: socket.socket) -> None:
        started, seen = live[sock]
        data = sock.recv(65536)
        seen += data
        body = whole_body(seen)
        if body is None and data:
            return
        del live[sock]
        if not data:  # the server closed: this connection is out
            answers["closed"] += 1
            selector.unregister(sock)
            sock.close()
            return
        status = bytes(seen[9:12]).decode()
        answers[status] += 1
        if status == "200":
            times.append(clock() - started)
            if job["keep"] or not bodies:
                bodies.append(body or b"")
        idle.append(sock)

    gc.collect()
    gc.disable()
    start, cpu = clock(), time.process_time()
    deadline = start + job["limit"]
    while (requests and (idle or live)) or live:
        if clock() > deadline:
            break
        while requests and idle:
            sock = idle.pop()
            live[sock] = (clock(), bytearray())
            sock.sendall(requests.popleft())
        for key, _ in selector.select(1.0):
            advance(key.fileobj)  # type: ignore[arg-type]
    seconds = clock() - start
    client = time.process_time() - cpu
    if requests or live:
        answers["not answered"] += len(requests) + len(live)
    times.sort()
    return {
        "seconds": seconds,
        "good": len(times),
        "rate": len(times) / seconds,
        "answers": dict(answers),
        "p50_ms": times[len(times) // 2] * 1000 if times else None,
        "client_busy": client / seconds,
        "answer": json.loads(bodies[0]) if bodies else None,
        "tokens": [json.loads(body)["access_token"] for body in bodies] if job["keep"] else [],
    }


if __name__ == "__main__":
    print(json.dumps(run(json.loads(Path(sys.argv[1]).read_text()))))
