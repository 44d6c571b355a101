"""The benchmark's own issuer: one ES256 key, tokens for any number of client ids, and its JWK set over HTTP.

The gate is measured with tokens minted here, because thousands of distinct client ids would mean thousands
of registered devices in the measured process, which no peer has to carry.  It gets the key as always: by URL.
"""

import contextlib
import http.server
import json
import threading
import time
import uuid
from collections.abc import Iterator

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

AUDIENCE = "https://mqtt.lab"


class Issuer:
    """Signs access tokens after RFC 9068, and serves its JWK set while :meth:`serving`."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.key_id = "bench"
        self.url = ""

    @property
    def public_pem(self) -> bytes:
        """The public key as PEM."""
        return self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    @property
    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The JWK set."""
        key = json.loads(ECAlgorithm.to_jwk(self._key.public_key()))
        return {"keys": [key | {"kid": self.key_id, "alg": "ES256", "use": "sig"}]}

    @contextlib.contextmanager
    def serving(self) -> Iterator[str]:
        """Serve the JWK set on loopback; gives its URL."""
        body = json.dumps(self.jwks).encode()

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"{self.url}/jwks"
        finally:
            server.shutdown()
            server.server_close()

    def token(self, client_id: str, *, scope: str, audience: str = AUDIENCE) -> str:
        """A token for ``client_id`` that lives for an hour."""
        now = int(time.time())
        claims = {
            "iss": self.url,
            "sub": client_id,
            "aud": audience,
            "client_id": client_id,
            "iat": now,
            "exp": now + 3600,
            "jti": uuid.uuid4().hex,
            "scope": scope,
        }
        return jwt.encode(claims, self._key, "ES256", headers={"typ": "at+jwt", "kid": self.key_id})

    def device_token(self, client_id: str) -> str:
        """A token with the rights that labkit gives a device by default."""
        own = f"devices/{client_id}/#"
        return self.token(client_id, scope=f"mqtt.connect mqtt.publish:{own} mqtt.subscribe:{own}")

    def rabbitmq_token(self, client_id: str) -> str:
        """A token with as many rights, spelled the way RabbitMQ wants them."""
        rights = [f"rabbitmq.{right}:*/mqtt-subscription-*" for right in ("configure", "write", "read")]
        rights += [f"rabbitmq.write:*/amq.topic/dev.{client_id}.*", f"rabbitmq.read:*/*/dev.{client_id}.*"]
        return self.token(client_id, scope=" ".join(rights), audience="rabbitmq")


def spoiled(token: str) -> str:
    """``token`` with a signature of the right form that fits other bytes: everything but the key agrees."""
    head, payload, signature = token.split(".")
    raw = jwt.utils.base64url_decode(signature)
    return ".".join([head, payload, jwt.utils.base64url_encode(raw[32:] + raw[:32]).decode()])
