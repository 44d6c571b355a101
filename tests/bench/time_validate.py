"""Validate tokens, and do the bare cryptography next to it: ``time_validate.py ROUNDS TOKENS``.

Every token is looked at once by each of the three, so that nothing can be remembered between two looks.
Prints one line of JSON: microseconds per token, for every algorithm and round.
"""

import base64
import contextlib
import itertools
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import jwt
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from jwt.algorithms import get_default_algorithms

from labkit.errors import TokenRejected
from labkit.tokens import TokenValidator

ISSUER, AUDIENCE, CLIENT_ID = "https://issuer.example", "https://mqtt.lab", "bench"
KEYS: dict[str, Callable[[], Any]] = {
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}
_numbers = itertools.count()
#: CPU time, which a busy machine does not stretch; the wall clock where CPU time is too coarse (Windows).
CLOCK = time.process_time if time.get_clock_info("process_time").resolution < 1e-4 else time.perf_counter


def claims() -> dict[str, Any]:
    now = int(time.time())
    own = f"devices/{CLIENT_ID}/#"
    return {
        "iss": ISSUER,
        "sub": CLIENT_ID,
        "aud": AUDIENCE,
        "client_id": CLIENT_ID,
        "iat": now,
        "exp": now + 3600,
        "jti": f"token-{next(_numbers)}",
        "scope": f"mqtt.connect mqtt.publish:{own} mqtt.subscribe:{own}",
    }


def verifier(algorithm: str, public: Any) -> Callable[[bytes, bytes], None]:
    """Nothing but the verification of a raw JWS signature, after a base64url decoding."""

    def es256(signature: bytes, message: bytes) -> None:
        r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
        public.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))

    def rs256(signature: bytes, message: bytes) -> None:
        public.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())

    return {"ES256": es256, "RS256": rs256, "EdDSA": public.verify}[algorithm]


def main(rounds: int, count: int) -> None:
    found: dict[str, dict[str, list[float]]] = {}
    for algorithm, new_key in KEYS.items():
        key = new_key()
        public = key.public_key()
        jwk = json.loads(get_default_algorithms()[algorithm].to_jwk(public))
        jwks = {"keys": [jwk | {"kid": "k", "alg": algorithm, "use": "sig"}]}
        validator = TokenValidator(ISSUER, AUDIENCE, jwks, algorithms=(algorithm,))
        raw = verifier(algorithm, public)

        def validate(token: str, validator: TokenValidator = validator) -> None:
            validator.validate(token, client_id=CLIENT_ID)

        def decode(token: str, public: Any = public, algorithm: str = algorithm) -> None:
            jwt.decode(token, public, [algorithm], audience=AUDIENCE, issuer=ISSUER)

        def verify(token: str, raw: Callable[[bytes, bytes], None] = raw) -> None:
            message, _, signature = token.encode().rpartition(b".")
            raw(base64.urlsafe_b64decode(signature + b"=="), message)

        looks = {"validate": validate, "jwt.decode": decode, "verify": verify}
        times = found[algorithm] = {name: [] for name in looks}
        forged = jwt.encode(claims(), new_key(), algorithm, headers={"typ": "at+jwt", "kid": "k"})
        for look in looks.values():
            with contextlib.suppress(TokenRejected, jwt.PyJWTError, InvalidSignature):
                look(forged)
                raise SystemExit(f"a forged {algorithm} token passed: there is nothing to measure")
        for number in range(rounds + 1):
            tokens = [
                jwt.encode(claims(), key, algorithm, headers={"typ": "at+jwt", "kid": "k"})
                for _ in range(count)
            ]
            for name, look in looks.items():
                started = CLOCK()
                for token in tokens:
                    look(token)
                seconds = CLOCK() - started
                if number:  # the first round is the warm-up
                    times[name].append(seconds / count * 1e6)
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
