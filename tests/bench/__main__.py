"""Measure labkit next to its peers, side by side in one run: ``python tests/bench``.

Run it from anywhere, with the Python that labkit is installed in.  It prints one table per section, with
ratios to the peers and the targets met or not; the exit status says nothing about speed.

    tokens      token requests: labkit, npm oidc-provider, npm oauth2-mock-server
    connect     CONNECTs admitted: labkit's gate, plain amqtt, mosquitto, RabbitMQ with OAuth2
    refuse      CONNECTs refused by the gate, next to admitted ones
    start       a lab up and down in a warm process
    memory      memory of `labkit up` under load
    validate    a token's checks next to the bare cryptography
    swap        how long a device is away while it swaps its token
    flow        what a stream of messages notices of it, by re-authentication and by reconnect

Peers that are not installed are listed as absent.  mosquitto and RabbitMQ come from the system
(apt-get install mosquitto rabbitmq-server); the npm packages go into a cache folder outside the repository
at the first run.  Everything listens on loopback, every load is bounded in count and time, every process is
gone at the end, also after Ctrl-C.  A full run takes five to ten minutes and wants a quiet machine.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    tests = Path(__file__).resolve().parents[1]
    sys.path[:0] = [str(tests), str(tests.parent)]  # the benchmark's own package, and labkit from a clone
    from bench.run import main

    try:
        main(__doc__)
    except KeyboardInterrupt:
        sys.exit(130)
