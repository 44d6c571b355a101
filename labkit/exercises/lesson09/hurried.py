"""Which thief gets in at which door: three checks of a proof, each without one of its three parts."""

from typing import Any, Final, NamedTuple

import jwt

from labkit.exercises import Result, Wrong, exercise, first_mistake, right
from labkit.tokens.thumbprint import thumbprint

__all__ = ["Proof", "doors", "read"]

FAULTS: Final = {"A": "own key", "B": "old proof", "C": "bad signature"}
#: Why a thief does not get in where she is not expected.
STOPPED: Final = {
    "own key": "it compares the key with the one in the token, and hers is another.",
    "old proof": "it compares the nonce, and the recorded proof has another one.",
    "bad signature": "proof.fits is False there, and {door} asks for it.",
}
ABOUT: Final = {
    (door, thief): why.format(door=door)
    for door, fault in FAULTS.items()
    for thief, why in STOPPED.items()
    if thief != fault
}


class Proof(NamedTuple):
    """What stands in a proof of OAUTH2-POP."""

    fits: bool  # the signature, and the key in the proof's own header
    key: str  # that key's thumbprint, as in ``cnf`` (RFC 7638)
    nonce: str


def read(proof: bytes) -> Proof:
    """Look into a proof; that its signature fits says nothing about whose key it is."""
    key: Any = jwt.get_unverified_header(proof)["jwk"]
    said: Any = jwt.decode(proof, options={"verify_signature": False})
    try:
        jwt.decode(proof, jwt.PyJWK(key, "ES256"), ["ES256"])
    except jwt.InvalidSignatureError:
        return Proof(False, thumbprint(key), said["nonce"])
    return Proof(True, thumbprint(key), said["nonce"])


@exercise(
    question=(
        "Each of the three doors lets one kind of thief in. Which? "
        'Write "old proof", "own key" or "bad signature".'
    ),
    cell="""
faults = {"A": ____, "B": ____, "C": ____}
ex.doors.check(faults)
""",
    solution="""
faults = {"A": "own key", "B": "old proof", "C": "bad signature"}
ex.doors.check(faults)
""",
    wrong=(
        Wrong(says="the recorded proof has another one", answer=FAULTS | {"A": "old proof"}),
        Wrong(says="A asks for it", answer=FAULTS | {"A": "bad signature"}),
        Wrong(says="hers is another", answer=FAULTS | {"B": "own key"}),
        Wrong(says="B asks for it", answer=FAULTS | {"B": "bad signature"}),
        Wrong(says="door C: it compares the key", answer=FAULTS | {"C": "own key"}),
        Wrong(says="one of the three words", answer=FAULTS | {"C": "no nonce"}),
        Wrong(says="one word for each of the doors", answer={"A": "own key"}),
    ),
    hints=(
        "A good check looks at three things. Which one does each door leave out?",
        "A does not look at key. Which of the three thieves has a wrong key, and everything else right?",
        "A leaves out the key, B the nonce, C the signature.",
    ),
    why=(
        "the signature says that somebody has the key in the proof, cnf says that it is the token's, and "
        "the nonce says that they have it now. Two of the three open the door to a thief."
    ),
)
def doors(answer: Any) -> Result:
    if mistake := first_mistake(answer, FAULTS, ABOUT, thing="door", otherwise="read its line again."):
        return mistake
    return right("each leaves out one of three, and each lets in a thief that the other two stop.")
