"""Put a token into the request that becomes a WebSocket."""

from typing import Any, Final

from labkit.exercises import Result, Wrong, cannot_tell, exercise, not_yet, right, try_answer
from labkit.exercises.lesson08.frames import knock
from labkit.wire import Connect, encode

__all__ = ["login"]

CLIENT: Final = "check-login-8"
LONGEST: Final = 4000


@exercise(
    question=(
        "Complete the function: it returns the path, the subprotocol and the value of the header "
        "Authorization with which a client gets a WebSocket, and is let in by its token."
    ),
    cell="""
def login(token):
    path = ____
    subprotocol = ____
    authorization = ____
    return path, subprotocol, authorization


ex.login.check(login, lab)
""",
    solution="""
def login(token):
    path = "/mqtt"
    subprotocol = "mqtt"
    authorization = f"Bearer {token}"
    return path, subprotocol, authorization


ex.login.check(login, lab)
""",
    wrong=(
        Wrong(says="in a URL it is in every log", answer=lambda t: (f"/mqtt?access_token={t}", "mqtt", "")),
        Wrong(says="another path", answer=lambda t: ("/", "mqtt", f"Bearer {t}")),
        Wrong(says="without host", answer=lambda t: ("wss://broker.example/mqtt", "mqtt", f"Bearer {t}")),
        Wrong(
            says="begins with one slash", answer=lambda t: ("//broker.example/mqtt", "mqtt", f"Bearer {t}")
        ),
        Wrong(says="in small letters", answer=lambda t: ("/mqtt", "MQTT", f"Bearer {t}")),
        Wrong(says="and no version", answer=lambda t: ("/mqtt", "mqttv5", f"Bearer {t}")),
        Wrong(says="first the word Bearer, one space", answer=lambda t: ("/mqtt", "mqtt", f"Barer {t}")),
        Wrong(says="first the word Bearer", answer=lambda t: ("/mqtt", "mqtt", f"Bearer: {t}")),
        Wrong(says="one space, the token", answer=lambda t: ("/mqtt", "mqtt", f"Bearer{t}")),
        Wrong(says="no word that says what follows", answer=lambda t: ("/mqtt", "mqtt", t)),
        Wrong(says="Basic is for a name and a secret", answer=lambda t: ("/mqtt", "mqtt", f"Basic {t}")),
        Wrong(says="without a token", answer=lambda t: ("/mqtt", "mqtt", "")),
        Wrong(says="not the token letter by letter", answer=lambda t: ("/mqtt", "mqtt", f"Bearer {t[:-2]}")),
        Wrong(says="more than one line", answer=lambda t: ("/mqtt", "mqtt", f"Bearer {t}\r\nX: y")),
        Wrong(says="return three texts", answer=lambda t: ("/mqtt", "mqtt")),
        Wrong(says="hand over the function itself", answer="/mqtt"),
    ),
    hints=(
        "Three of the seven requests above were granted. One of them has the header: look at its parts.",
        "The path is where the broker waits. The subprotocol is the protocol inside of the frames.",
        'path = "/mqtt", subprotocol = "mqtt", and the header is the word Bearer, a space, and the token.',
    ),
    why=(
        "the path is the broker's own choice, the subprotocol is not (MQTT §6), and the header is the one "
        "place of an HTTP request that is made for tokens (RFC 6750 §2.1): logs usually leave it out."
    ),
)
def login(answer: Any, lab: Any) -> Result:
    if not callable(answer):
        return not_yet("hand over the function itself, without calling it: check(login, lab).")
    lab.register(CLIENT)
    token = lab.token(CLIENT)
    parts = try_answer(answer, token)
    if type(parts) not in (tuple, list) or len(parts) != 3 or any(type(part) is not str for part in parts):
        return not_yet("return three texts: path, subprotocol, and the value of Authorization.")
    path, subprotocol, authorization = parts
    if any(len(part) > LONGEST for part in parts):
        return not_yet("that is more than a path, a word and a token.")
    if any(not part.isprintable() for part in parts):
        return not_yet("a header has no control characters: this would be more than one line of the request.")
    if token in path or token in subprotocol:
        return not_yet("the token has one place here, the header: in a URL it is in every log on its way.")
    if not path.startswith("/") or path.startswith("//"):
        return not_yet("of the address this is the path only, without host: it begins with one slash.")
    headers = [f"Sec-WebSocket-Protocol: {subprotocol}"]
    headers += [f"Authorization: {authorization}"] if authorization else []
    found = knock(lab.ws, path, tuple(headers), encode(Connect(client_id=CLIENT)))
    if found.status == 400 and subprotocol.strip() != "mqtt":
        return not_yet("the broker answers 400: the subprotocol is mqtt, in small letters, and no version.")
    return _judged(found.status, found.code, token, authorization)


def _judged(status: int, code: int | None, token: str, authorization: str) -> Result:
    scheme, _, rest = authorization.partition(" ")
    if status == 404:
        return not_yet("the broker answers 404: it waits at another path.")
    if status == 401 or (status == 400 and scheme.lower() != "bearer" and authorization):
        if scheme.startswith("eyJ"):
            return not_yet(
                f"the broker answers {status}: in front of the token is no word that says what follows."
            )
        if scheme.lower() == "basic":
            return not_yet(
                f"the broker answers {status}: Basic is for a name and a secret, and this is a token."
            )
        return not_yet(f"the broker answers {status}: first the word Bearer, one space, the token.")
    if status == 400 and scheme.lower() == "bearer" and rest.strip() != token:
        return not_yet("the broker answers 400: behind Bearer stands the token, and nothing else.")
    if status != 101:
        return not_yet(f"the broker answers {status}: this is no path.")
    if not authorization:
        return not_yet("the broker grants a WebSocket, and then refuses a CONNECT without a token.")
    if rest.strip() != token:
        return not_yet("granted, and then refused by CONNACK: it is not the token letter by letter.")
    if code != 0:
        return cannot_tell("the request is right, and yet the broker refuses it. Run the set-up cell again.")
    return right("101, and then CONNACK 0: the token came before the first byte of MQTT.")
