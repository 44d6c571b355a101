"""Five clients that knock at the WebSocket door, as a proxy's log and CONNACK show them: find the fault."""

from typing import Any, Final

from labkit.exercises import Result, Wrong, exercise, first_mistake, right
from labkit.exercises.lesson08.frames import knock
from labkit.show import Shown, html
from labkit.show.text import table
from labkit.wire import Connect, encode

__all__ = ["faults", "five_clients"]

CLIENT: Final = "check-client-8"
FAULTS: Final = {"A": "twice", "B": "url", "C": "page", "D": "protocol", "E": "scheme"}
ABOUT: Final = {
    ("A", "scheme"): "it got its WebSocket: HTTP had nothing to complain about. What came after that?",
    ("A", "page"): "there is no Origin, and 101 is a yes. Its no came later, from MQTT.",
    ("B", "protocol"): "it offers mqtt, which is right. Read the path to its end.",
    ("B", "scheme"): "it has no Authorization, and needs none: a token can come later. Read the path.",
    ("C", "scheme"): "without Authorization, as all browsers. And 403 says: not you. Who is asking?",
    ("C", "protocol"): "it offers mqtt, which is right. 403 is about who asks, not how.",
    ("D", "url"): "there is nothing behind its path. What else is not as in the others?",
    ("D", "scheme"): "Bearer is right, and a wrong scheme would be answered with 401.",
    ("E", "twice"): "it did not get as far as CONNECT, so there was no second token.",
    ("E", "page"): "it has no Origin, so it is no page. What does 401 ask for?",
}


def _client(lab: Any, token: str, letter: str) -> tuple[tuple[str, ...], int, str]:
    """What a log shows of one client (the token cut short), then HTTP's status and CONNACK's code."""
    path, origin, protocol, scheme, password = "/mqtt", "-", "mqtt", "Bearer", None
    if letter == "A":
        password = token.encode()
    elif letter == "B":
        path, scheme = f"/mqtt?access_token={token}", "-"
    elif letter == "C":
        origin, scheme = "https://shop.example", "-"
    elif letter == "D":
        protocol = "mqttv3.1"
    else:
        scheme = "Basic"
    headers = [f"Sec-WebSocket-Protocol: {protocol}"]
    headers += [f"Origin: {origin}"] if origin != "-" else []
    headers += [f"Authorization: {scheme} {token}"] if scheme != "-" else []
    packet = encode(Connect(client_id=CLIENT, username=CLIENT if password else None, password=password))
    found = knock(lab.ws, path, tuple(headers), packet)
    shown = path.replace(token, "eyJ…"), origin, protocol, scheme
    return shown, found.status, "-" if found.code is None else str(found.code)


def five_clients(lab: Any) -> Shown:
    """Have the five knock, and show what a proxy's log has of each, and what CONNACK said."""
    lab.register(CLIENT)
    token = lab.token(CLIENT)
    head = ("", "path", "Origin", "subprotocol", "Authorization", "HTTP", "CONNACK")
    rows = []
    for letter in FAULTS:
        shown, status, code = _client(lab, token, letter)
        rows.append((letter, *shown, str(status), code))
    text = table([head, *rows], indent="")
    return Shown(text, html.figure(html.table(rows, head=head), text=text))


@exercise(
    question=(
        'What is wrong with each of the five clients? Write "url", "protocol", "page", "scheme" or "twice".'
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
    "A": "twice",
    "B": "url",
    "C": "page",
    "D": "protocol",
    "E": "scheme",
}
ex.faults.check(faults)
""",
    wrong=(
        Wrong(says="HTTP had nothing to complain about", answer=FAULTS | {"A": "scheme"}),
        Wrong(says="Read the path to its end", answer=FAULTS | {"B": "protocol"}),
        Wrong(says="Who is asking?", answer=FAULTS | {"C": "scheme"}),
        Wrong(says="nothing behind its path", answer=FAULTS | {"D": "url"}),
        Wrong(says="so there was no second token", answer=FAULTS | {"E": "twice"}),
        Wrong(says="look at its row again", answer=FAULTS | {"E": "url"}),
        Wrong(says="one word for each of the clients", answer={"A": "url"}),
        Wrong(says="one of the five words", answer=FAULTS | {"C": "expired"}),
    ),
    hints=(
        "Compare each row with the others: in what is it alone?",
        "101 means that HTTP was content. 401 is about Authorization, 403 about who asks, 400 about more.",
        "One has its token in the path, one comes from another site's page, one offers an old protocol, one "
        "has the wrong word before its token, and one sends a second token in CONNECT.",
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
    return right("two tokens, a token in the URL, a strange page, an old protocol, and the wrong scheme.")
