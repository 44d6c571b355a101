"""An issuer to test relying parties with: it signs anything, also what no honest server would sign.

The tokens are made by labkit.forge, which uses cryptography directly: not the code under test and not PyJWT.
"""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from labkit import forge
from labkit.clock import Clock
from labkit.forge import MISSING, sign
from labkit.forge import base64url as b64
from labkit.tokens import TokenValidator

__all__ = [
    "AUDIENCE", "CLIENT", "ISSUER", "MISSING", "NOW", "THREE", "Answers", "b64", "claims", "frozen",
    "http_server", "jwks", "private_key", "public_jwk", "sign", "tampered", "token", "validator",
]  # fmt: skip

ISSUER = "http://127.0.0.1:9"
AUDIENCE = "https://mqtt.lab"
CLIENT = "thermostat-1"
NOW = 1_800_000_000
THREE = ("ES256", "RS256", "EdDSA")


def tampered(token: str) -> str:
    """The token with another signature."""
    head, _, tail = token.rpartition(".")
    return f"{head}.{'B' if tail[0] == 'A' else 'A'}{tail[1:]}"


def private_key(algorithm: str, name: str = "") -> Any:
    """One key per algorithm and name, made once: RSA keys take their time."""
    return _private_key(algorithm, name)


@functools.cache
def _private_key(algorithm: str, name: str) -> Any:
    return forge.new_key(algorithm, rsa_bits=1024 if name == "weak" else 2048)


def public_jwk(algorithm: str, name: str = "", **changes: Any) -> dict[str, Any]:
    return forge.public_jwk(
        private_key(algorithm, name), algorithm, **{"kid": f"{algorithm}{name}"} | changes
    )


def jwks(*keys: dict[str, Any]) -> dict[str, Any]:
    return {"keys": list(keys or (public_jwk(algorithm) for algorithm in THREE))}


def claims(**changes: Any) -> dict[str, Any]:
    """A good claims set, with ``changes``; ``MISSING`` takes a claim out."""
    good: dict[str, Any] = {
        "iss": ISSUER,
        "sub": CLIENT,
        "aud": AUDIENCE,
        "client_id": CLIENT,
        "iat": NOW - 10,
        "exp": NOW + 290,
        "jti": "b7a1",
        "scope": f"mqtt.connect mqtt.publish:devices/{CLIENT}/# mqtt.subscribe:devices/{CLIENT}/#",
    }
    return {name: value for name, value in (good | changes).items() if value is not MISSING}


def token(
    algorithm: str = "ES256",
    *,
    header: Mapping[str, Any] | bytes | None = None,
    payload: Mapping[str, Any] | bytes | None = None,
    key: Any = None,
    signature: Callable[[bytes], bytes] | None = None,
    **changes: Any,
) -> str:
    """A token signed by the issuer: a good one, unless told otherwise.

    ``header`` as a mapping changes single parameters, as bytes it replaces the whole; ``payload`` replaces
    the claims set, ``changes`` change single claims; ``signature`` makes one from the signing input.
    """
    if not isinstance(header, bytes):
        header = {"kid": algorithm} | dict(header or {})
    if payload is None:
        payload = claims(**changes)
    key = key or private_key(algorithm)
    return forge.token(payload, header=header, key=key, algorithm=algorithm, signature=signature)


def frozen(moment: float = NOW) -> Clock:
    """A clock that stands still until it is advanced."""
    return Clock(lambda: moment)


def validator(keys: Any = None, **settings: Any) -> TokenValidator:
    settings.setdefault("clock", frozen())
    return TokenValidator(ISSUER, AUDIENCE, keys or jwks(), **settings)


class Answers:
    """What a local HTTP server answers: change the attributes while it runs.

    ``requests`` holds (method, path, headers, body) of each; while ``gate`` is clear it does not answer.
    """

    def __init__(self) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body: bytes | Callable[[bytes], bytes] = b"{}"
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.arrived = threading.Semaphore(0)
        self.url = ""


@contextlib.contextmanager
def http_server(tls: Any = None) -> Iterator[Answers]:
    """A real HTTP server on loopback, port 0, in a thread of its own."""
    answers = Answers()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answers.requests.append((self.command, self.path, dict(self.headers), body))
            answers.arrived.release()
            answers.gate.wait(30)
            content = answers.body(body) if callable(answers.body) else answers.body
            self.send_response(answers.status)
            for name, value in ({"Content-Length": str(len(content))} | answers.headers).items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, *arguments: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # a client that hangs up is part of the tests

    with Server(("127.0.0.1", 0), Handler) as server:
        scheme = "http"
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
            scheme = "https"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        answers.url = f"{scheme}://127.0.0.1:{server.server_port}/keys"
        try:
            yield answers
        finally:
            answers.gate.set()
            server.shutdown()
            thread.join()
