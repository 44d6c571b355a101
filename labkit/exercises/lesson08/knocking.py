"""Six clients that knock at the WebSocket door, as a proxy's log and CONNACK show them: find the fault."""

from typing import Any, Final

from labkit.exercises import Result, Wrong, exercise, first_mistake, right
from labkit.exercises.lesson08.frames import knock
from labkit.show import Shown, html
from labkit.show.text import table
from labkit.wire import Connect, encode

__all__ = ["faults", "six_clients"]

FAULTS: Final = {"A": "twice", "B": "url", "C": "page", "D": "protocol", "E": "scheme", "F": "expired"}
#: As a log shows them: path, Origin, subprotocol, and the word in front of the token in Authorization.
#: A dash is none, and eyJ… is a token.
REQUESTS: Final = {
    "A": ("/mqtt", "-", "mqtt", "Bearer"),
    "B": ("/mqtt?access_token=eyJ…", "-", "mqtt", "-"),
    "C": ("/mqtt", "https://shop.example", "mqtt", "-"),
    "D": ("/mqtt?site=7", "-", "mqttv3.1", "Bearer"),
    "E": ("/mqtt", "-", "mqtt", "Basic"),
    "F": ("/mqtt", "http://localhost", "mqtt", "-"),
}
#: Who has a token in the password of CONNECT, which no proxy's log shows.
IN_PASSWORD: Final = ("A", "C", "F")
ABOUT: Final = {
    ("A", "scheme"): "it got its WebSocket: HTTP had nothing to complain about. What came after that?",
    ("A", "page"): "there is no Origin, and 101 is a yes. Its no came later, from MQTT.",
    ("A", "expired"): "the record has another word for it: ambiguous. Between what could one not choose?",
    ("B", "protocol"): "it offers mqtt, which is right. Read the path to its end.",
    ("B", "scheme"): "it has no Authorization, and needs none: a token can come later. Read the path.",
    ("C", "scheme"): "without Authorization, as all browsers. And 403 says: not you. Who is asking?",
    ("C", "protocol"): "it offers mqtt, which is right. 403 is about who asks, not how.",
    ("D", "url"): "behind its path stands a site, and no token. What else is not as in the others?",
    ("D", "scheme"): "Bearer is right, and a wrong scheme would be answered with 401.",
    ("E", "twice"): "it did not get as far as CONNECT, so there was no second token.",
    ("E", "page"): "it has no Origin, so it is no page. What does 401 ask for?",
    ("F", "page"): "its page is from the broker's own machine, and 101 is a yes. What does the record say?",
    ("F", "twice"): "it has no Authorization, so its only token is in CONNECT. What does the record say?",
    ("F", "scheme"): "it has no Authorization, and needs none: its token is in CONNECT. See the record.",
}


def _client(lab: Any, letter: str) -> tuple[str, ...]:
    """What a log shows of one client, then HTTP's status and CONNACK's code."""
    name, expired = f"client-{letter}", FAULTS[letter] == "expired"
    lab.register(name, lifetime=1 if expired else 300)
    token = lab.token(name)
    if expired:
        lab.clock.advance(seconds=1)
    path, origin, protocol, scheme = REQUESTS[letter]
    headers = [f"Sec-WebSocket-Protocol: {protocol}"]
    headers += [f"Origin: {origin}"] if origin != "-" else []
    headers += [f"Authorization: {scheme} {token}"] if scheme != "-" else []
    login = {"username": name, "password": token.encode()} if letter in IN_PASSWORD else {}
    packet = encode(Connect(client_id=name, **login))
    found = knock(lab.ws, path.replace("eyJ…", token), tuple(headers), packet)
    code = "-" if found.code is None else str(found.code)
    return path, origin, protocol, scheme, str(found.status), code


def six_clients(lab: Any) -> Shown:
    """Have the six knock, and show what a proxy's log has of each, and what CONNACK said."""
    head = ("", "path", "Origin", "subprotocol", "Authorization", "HTTP", "CONNACK")
    rows = [(letter, *_client(lab, letter)) for letter in FAULTS]
    text = table([head, *rows], indent="")
    return Shown(text, html.figure(html.table(rows, head=head), text=text))


@exercise(
    question=(
        'What is wrong with each of the six clients? Write "url", "protocol", "page", "scheme", "twice" or '
        '"expired".'
    ),
    cell="""
faults = {
    "A": ____,
    "B": ____,
    "C": ____,
    "D": ____,
    "E": ____,
    "F": ____,
}
ex.faults.check(faults)
""",
    solution="""
faults = {
    "A": "twice",
    "B": "url",
    "C": "page",
    "D": "protocol",
    "E": "scheme",
    "F": "expired",
}
ex.faults.check(faults)
""",
    wrong=(
        Wrong(says="HTTP had nothing to complain about", answer=FAULTS | {"A": "scheme"}),
        Wrong(says="Between what could one not choose?", answer=FAULTS | {"A": "expired"}),
        Wrong(says="Read the path to its end", answer=FAULTS | {"B": "protocol"}),
        Wrong(says="Who is asking?", answer=FAULTS | {"C": "scheme"}),
        Wrong(says="a site, and no token", answer=FAULTS | {"D": "url"}),
        Wrong(says="so there was no second token", answer=FAULTS | {"E": "twice"}),
        Wrong(says="look at its row again", answer=FAULTS | {"E": "url"}),
        Wrong(says="101 is a yes. What does the record say?", answer=FAULTS | {"F": "page"}),
        Wrong(says="its only token is in CONNECT", answer=FAULTS | {"F": "twice"}),
        Wrong(says="See the record", answer=FAULTS | {"F": "scheme"}),
        Wrong(says="one word for each of the clients", answer={"A": "url"}),
        Wrong(says="one of the six words", answer=FAULTS | {"C": "signature"}),
    ),
    hints=(
        "Compare each row with the others: in what is it alone? For A and F, the record says more.",
        "101 means that HTTP was content. 401 is about Authorization, 403 about who asks, 400 about more. "
        "And ambiguous is what cannot be decided.",
        "One has its token in the path, one comes from another site's page, one offers an old protocol, one "
        "has the wrong word before its token, one sends a second token in CONNECT, and one has an old token.",
    ),
    why=(
        "B is the worst: it was refused, and its token is in the proxy's log all the same. Take that token "
        "back, and repair the client."
    ),
)
def faults(answer: Any) -> Result:
    otherwise = "look at its row again: in what is it not as the others?"
    if mistake := first_mistake(answer, FAULTS, ABOUT, thing="client", otherwise=otherwise):
        return mistake
    return right(
        "two tokens, one in the URL, a strange page, an old protocol, the wrong scheme, an old token."
    )
