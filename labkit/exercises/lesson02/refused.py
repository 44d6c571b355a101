"""Five clients that do not get in, and what is wrong with each."""

from typing import Any

from labkit.exercises import Result, Wrong, exercise, first_mistake, right
from labkit.wire import Connect, encode

__all__ = ["at_the_door", "faults"]

CLIENT = "sensor-7"


def at_the_door(lab: Any) -> dict[str, bytes]:
    """What five faulty clients of one device send: the bytes of their CONNECT, by letter."""
    credentials = lab.register(CLIENT, secret="only-for-the-token-endpoint")  # noqa: S106 - for this lesson
    token = lab.token(CLIENT)

    def connect(user_name: str | None, password: str | None = None, client_id: str = CLIENT) -> bytes:
        field = None if password is None else password.encode()
        return encode(Connect(client_id=client_id, username=user_name, password=field, keep_alive=60))

    return {
        "A": connect(CLIENT, f"Bearer {token}"),
        "B": connect(CLIENT, token, client_id=f"{CLIENT}-4f2a"),
        "C": connect(CLIENT, credentials.client_secret),
        "D": connect(None),
        "E": connect(token, token),
    }


FAULTS = {"A": "prefix", "B": "client id", "C": "secret", "D": "dropped", "E": "twice"}
ABOUT = {
    ("A", "secret"): "a secret is short. This password is as long as a token, and a little longer.",
    ("A", "client id"): "sensor-7 is its name. Look at the first letters of the password.",
    ("B", "prefix"): "the password begins with eyJ, as a token does. And 5 says that the token is good.",
    ("B", "secret"): "the password is a token, and 5 says that it is a good one. Good for whom?",
    ("C", "prefix"): "count the bytes of the password: there is no room for a token in it.",
    ("C", "dropped"): "there is a password, and it was sent. Is it a token?",
    ("D", "secret"): "no secret was sent, and nothing else either.",
    ("D", "client id"): "sensor-7 is its name. What is missing?",
    ("E", "prefix"): "both fields begin with eyJ, as a token does. Is one of them enough?",
    ("E", "secret"): "both fields hold a token. Is one of them enough?",
}


@exercise(
    question=(
        'What is wrong with each of the five clients? Write "prefix", "secret", "client id", "twice" or '
        '"dropped".'
    ),
    cell="""
faults = {
    "A": ____,
    "B": ____,
    "C": ____,
    "D": ____,
    "E": ____,
}
ex.faults.check(faults)
""",
    solution="""
faults = {
    "A": "prefix",
    "B": "client id",
    "C": "secret",
    "D": "dropped",
    "E": "twice",
}
ex.faults.check(faults)
""",
    wrong=(
        Wrong(says="as long as a token, and a little longer", answer=FAULTS | {"A": "secret"}),
        Wrong(says="Good for whom?", answer=FAULTS | {"B": "secret"}),
        Wrong(says="count the bytes of the password", answer=FAULTS | {"C": "prefix"}),
        Wrong(says="and nothing else either", answer=FAULTS | {"D": "secret"}),
        Wrong(says="Is one of them enough?", answer=FAULTS | {"E": "prefix"}),
        Wrong(says="look again at its three fields", answer=FAULTS | {"D": "twice"}),
        Wrong(says="one word for each of the clients", answer={"A": "prefix"}),
        Wrong(says="one of the five words", answer=FAULTS | {"C": "expired"}),
    ),
    hints=(
        "Begin with the code. Only one client shows a good token, and gets 5 for another reason.",
        "Compare the lengths: a token has more than 500 bytes here, a client secret a few dozen.",
        "One has a word of HTTP before the token, one a name of its own, one the secret, one nothing at all, "
        "and one has two tokens.",
    ),
    why=(
        "code 4 covers four of these five faults: it says that the token is the place to look, and the bytes "
        "say the rest. C is the worst: the broker knows its secret now, so it needs a new one."
    ),
)
def faults(answer: Any) -> Result:
    otherwise = "look again at its three fields and at its code."
    if mistake := first_mistake(answer, FAULTS, ABOUT, thing="client", otherwise=otherwise):
        return mistake
    return right("HTTP's prefix, a name of its own, the secret, nothing at all, and two tokens at once.")
