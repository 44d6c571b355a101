"""labkit's gate alone, as a relying party of the issuer given: ``serve_gate.py ISSUER AUDIENCE JWKS_URL``.

Prints one line of JSON with host and port; ends when its standard input does.
"""

import json
import sys

from labkit.broker import Broker
from labkit.clock import Clock
from labkit.record import Record
from labkit.tokens import JwksCache, TokenValidator


def main(issuer: str, audience: str, jwks_url: str) -> None:
    clock = Clock()
    record = Record(clock.now)
    keys = JwksCache(jwks_url, clock=clock)
    validator = TokenValidator(issuer, audience, keys, clock=clock, algorithms=("ES256",))
    with Broker(validator=validator, clock=clock, record=record) as broker:
        print(json.dumps({"host": broker.mqtt.host, "port": broker.mqtt.port}), flush=True)
        sys.stdin.read()
    clock.close()


if __name__ == "__main__":
    main(*sys.argv[1:4])
