"""An issuer to test relying parties with: it signs anything, also what no honest server would sign.

It uses cryptography directly, not the code under test and not PyJWT.
"""

import base64
import contextlib
import functools
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from labkit.clock import Clock
from labkit.tokens import TokenValidator

ISSUER = "http://127.0.0.1:9"
AUDIENCE = "https://mqtt.lab"
CLIENT = "thermostat-1"
NOW = 1_800_000_000
THREE = ("ES256", "RS256", "EdDSA")
MISSING: Any = object()


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int, size: int) -> str:
    return b64(value.to_bytes(size, "big"))


def private_key(algorithm: str, name: str = "") -> Any:
    """One key per algorithm and name, made once: RSA keys take their time."""
    return _private_key(algorithm, name)


@functools.cache
def _private_key(algorithm: str, name: str) -> Any:
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm.startswith("ES"):
        curve = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}[algorithm]
        return ec.generate_private_key(curve())
    return rsa.generate_private_key(65537, 1024 if name == "weak" else 2048)


def sign(key: Any, algorithm: str, data: bytes) -> bytes:
    if algorithm == "EdDSA":
        return key.sign(data)
    digest = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}[algorithm[2:]]
    if algorithm.startswith("ES"):
        size = (key.curve.key_size + 7) // 8
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(digest)))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")
    if algorithm.startswith("PS"):
        return key.sign(data, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
    return key.sign(data, padding.PKCS1v15(), digest)


def public_jwk(algorithm: str, name: str = "", **changes: Any) -> dict[str, Any]:
    key = private_key(algorithm, name).public_key()
    jwk: dict[str, Any] = {"kid": f"{algorithm}{name}", "alg": algorithm, "use": "sig"}
    if algorithm == "EdDSA":
        jwk |= {"kty": "OKP", "crv": "Ed25519", "x": b64(key.public_bytes_raw())}
    elif algorithm.startswith("ES"):
        size = (key.curve.key_size + 7) // 8
        point = key.public_numbers()
        crv = {256: "P-256", 384: "P-384", 521: "P-521"}[key.curve.key_size]
        jwk |= {"kty": "EC", "crv": crv, "x": number(point.x, size), "y": number(point.y, size)}
    else:
        numbers = key.public_numbers()
        jwk |= {"kty": "RSA", "n": number(numbers.n, key.key_size // 8), "e": number(numbers.e, 3)}
    jwk |= changes
    return {name: value for name, value in jwk.items() if value is not MISSING}


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
        parameters = {"typ": "at+jwt", "alg": algorithm, "kid": algorithm} | dict(header or {})
        header = json.dumps({name: v for name, v in parameters.items() if v is not MISSING}).encode()
    if not isinstance(payload, bytes):
        payload = json.dumps(claims(**changes) if payload is None else dict(payload)).encode()
    signing_input = f"{b64(header)}.{b64(payload)}".encode()
    if signature is None:
        made = sign(key or private_key(algorithm), algorithm, signing_input)
    else:
        made = signature(signing_input)
    return f"{signing_input.decode()}.{b64(made)}"


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
