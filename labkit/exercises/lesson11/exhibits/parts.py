"""What the exhibits share: an issuer, a validator with checks left out, the real gate, and a web server."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

from labkit import forge
from labkit.broker import Broker
from labkit.clock import Clock
from labkit.errors import TokenRejected
from labkit.exercises.lesson05.knocking import knock
from labkit.exercises.lesson11.exhibits.exhibit import Exhibit
from labkit.record import Record
from labkit.tokens import CHECKS, TokenValidator
from labkit.tokens.keys import VerificationKey

__all__ = [
    "Canary",
    "Checks",
    "LetsIn",
    "by_token",
    "gate",
    "genuine",
    "issuer_of",
    "opened",
    "refused_at_the_gate",
    "signed_by",
]

#: Whether a client with this id gets in with this token, where that issuer is trusted.
LetsIn: TypeAlias = Callable[[str, str, forge.Issuer], bool]

#: The longest password of MQTT, in bytes (MQTT 3.1.1 §1.5.3): a longer token cannot even be sent.
_LONGEST = 65_535


def issuer_of(lab: Any, **options: Any) -> forge.Issuer:
    """An issuer for this broker, whose time stands still until it is told to move."""
    start = float(int(lab.clock.now()))
    return forge.Issuer(audience=lab.audience, clock=Clock(lambda: start), **options)


def opened(token: str) -> tuple[dict[str, Any], bytes, bytes, bytes]:
    """Header, payload, what was signed, and the signature: nothing is checked."""
    head, body, last = token.split(".")
    header, payload, signature = (base64.urlsafe_b64decode(part + "==") for part in (head, body, last))
    return json.loads(header), payload, f"{head}.{body}".encode(), signature


def signed_by(jwk: dict[str, Any], data: bytes, signature: bytes) -> bool:
    """Whether this key has made this signature."""
    key = VerificationKey.from_jwk(jwk)
    return key is not None and key.verify(data, signature)


def genuine(token: str, issuer: forge.Issuer) -> bool:
    """Whether the issuer has signed this token, whatever it says."""
    _, _, data, signature = opened(token)
    return signed_by(issuer.jwks["keys"][0], data, signature)


class _Walk(TokenValidator):
    """The real validator with a shorter walk."""

    def __init__(self, issuer: forge.Issuer, left_out: tuple[str, ...]) -> None:
        self.checks = tuple(row for row in CHECKS if row.name not in left_out)  # type: ignore[misc]
        algorithms = (issuer.algorithm,)
        super().__init__(issuer.issuer, issuer.audience, issuer.jwks, algorithms, clock=issuer.clock)


@dataclass(frozen=True)
class Checks:
    """A validator that walks along the table of checks, but for those that it leaves out."""

    left_out: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """What it is, in words, as its code would say nothing."""
        but = f" but for: {', '.join(self.left_out)}" if self.left_out else ""
        return f"every check of labkit.tokens.CHECKS{but}"

    def __call__(self, token: str, client_id: str, issuer: forge.Issuer) -> bool:
        try:
            _Walk(issuer, self.left_out).validate(token, client_id)
        except TokenRejected:
            return False
        return True


@contextmanager
def gate(issuer: forge.Issuer, validator: Any = None) -> Iterator[Broker]:
    """A broker of the lab's kind, that trusts this issuer and runs on its clock.  It ends that clock."""
    record = Record(issuer.clock.now)
    validator = validator or issuer.validator()
    with (
        closing(issuer.clock),
        Broker(validator=validator, clock=issuer.clock, record=record) as broker,
    ):
        yield broker


def refused_at_the_gate(issuer: forge.Issuer, *attempts: tuple[str, str]) -> bool:
    """Whether the real gate refuses each token and client id, and lets the honest device in.

    Raises:
        RuntimeError: it does not let the honest device in, so that a refusal says nothing.
    """
    with gate(issuer) as broker:
        if knock(broker, issuer.client_id, issuer.token()) != 0:
            raise RuntimeError("the gate does not let the honest device in")
        return all(knock(broker, client_id, token) != 0 for token, client_id in attempts)


def by_token(
    id: str,
    name: str,
    *,
    story: str,
    stopped_by: str,
    naive: LetsIn,
    repaired: LetsIn | None = None,
    forged: str | Callable[[forge.Issuer], str],
    client_id: str | None = None,
    good: Callable[[forge.Issuer], str] = forge.Issuer.token,
) -> Exhibit:
    """An exhibit whose target is a validator.

    Args:
        id: the row of the threat list.
        name: a short name.
        story: one sentence.
        stopped_by: what stops it, in a few words.
        naive: the validator with the hole.
        repaired: the one without; the whole table of checks when left out.
        forged: the name of the attack in ``forge.CATALOGUE``, or a function that makes the token.
        client_id: who sends it, where it is not the device of the issuer.
        good: makes the token of the honest device.
    """
    build = forge.named(forged).build if isinstance(forged, str) else forged

    def attack(target: LetsIn, lab: Any) -> bool:
        issuer = issuer_of(lab)
        return target(build(issuer), client_id or issuer.client_id, issuer)

    def honest(target: LetsIn, lab: Any) -> bool:
        issuer = issuer_of(lab)
        return target(good(issuer), issuer.client_id, issuer)

    def real(lab: Any) -> bool:
        issuer = issuer_of(lab)
        attempts = [(build(issuer), client_id or issuer.client_id)]
        for each in forge.of_threat(id):  # and all others of its kind
            if each.stopped_by is not None and issuer.algorithm in each.algorithms:
                attempts.append((each.build(issuer), each.connects_as or issuer.client_id))
        sent = [attempt for attempt in attempts if len(attempt[0].encode()) <= _LONGEST]
        return not refused_at_the_gate(issuer, *sent)

    return Exhibit(
        id=id,
        name=name,
        story=story,
        stopped_by=stopped_by,
        naive=naive,
        repaired=repaired or Checks(),
        attack=attack,
        honest=honest,
        real=real,
    )


class Canary:
    """A web server that answers every GET with one JSON document, and counts how often it was asked."""

    def __init__(self, document: Any = None) -> None:
        self.document = document
        self.hits = 0
        canary = self

        class Answers(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the name that http.server asks for
                canary.hits += 1
                body = json.dumps(canary.document).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing: a notebook's output is for the lesson."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """Where it is, on this machine."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "Canary":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
