"""Put a token into the right field of CONNECT."""

import socket
from typing import Any

from labkit.exercises import Result, Wrong, cannot_tell, exercise, not_yet, right, try_answer
from labkit.wire import Connect, encode

__all__ = ["connack", "login"]

CLIENT = "check-login"


def connack(lab: Any, packet: bytes) -> int | None:
    """The return code with which the broker answers a CONNECT, or ``None`` when it closes without one."""
    with (
        socket.create_connection((lab.mqtt.host, lab.mqtt.port), timeout=5) as line,
        line.makefile("rb") as answers,
    ):
        line.sendall(packet)
        answer = answers.read(4)
    return answer[3] if len(answer) == 4 else None


@exercise(
    question=(
        "Complete the function: it returns the user name and the password with which a device logs in, so "
        "that the token stays out of the logs."
    ),
    cell="""
def login(client_id, token):
    user_name = ____
    password = ____
    return user_name, password


ex.login.check(login, lab)
""",
    solution="""
def login(client_id, token):
    user_name = client_id
    password = token
    return user_name, password


ex.login.check(login, lab)
""",
    wrong=(
        Wrong(says="brokers write user names into their logs", answer=lambda client_id, token: (token, None)),
        Wrong(says="no password without a user name", answer=lambda client_id, token: (None, token)),
        Wrong(says="two tokens in one CONNECT", answer=lambda client_id, token: (token, token)),
        Wrong(
            says="MQTT has no such word",
            answer=lambda client_id, token: (client_id, "Bearer " + token),
        ),
        Wrong(
            says="the token is in neither field",
            answer=lambda client_id, token: (client_id, "the client secret"),
        ),
        Wrong(
            says="not the one that the function gets",
            answer=lambda client_id, token: (client_id, token[:-2]),
        ),
        Wrong(
            says="not the token letter by letter", answer=lambda client_id, token: (client_id, token + "\n")
        ),
        Wrong(says="begins like a token, too", answer=lambda client_id, token: (token[:20], token)),
        Wrong(says="return two values", answer=lambda client_id, token: token),
        Wrong(says="hand over the function itself", answer=("thermostat-1", "a token")),
    ),
    hints=(
        "Which of the two fields do programs hide, and which do they show?",
        "The token is the password. paho sends no password without a user name, so give it one that is no "
        "secret.",
        "user_name = client_id, password = token.",
    ),
    why=(
        "the user name is a label here: the broker reads the token, and compares its client_id with the "
        "client identifier of CONNECT. A label in a log does no harm."
    ),
)
def login(answer: Any, lab: Any) -> Result:
    if not callable(answer):
        return not_yet("hand over the function itself, without calling it: check(login, lab).")
    lab.register(CLIENT)
    token = lab.token(CLIENT)
    pair = try_answer(answer, CLIENT, token)
    if type(pair) not in (tuple, list) or len(pair) != 2:
        return not_yet("return two values: the user name, then the password.")
    user_name, password = pair
    if type(user_name) not in (str, type(None)) or type(password) not in (str, bytes, type(None)):
        return not_yet("user name and password are text, or None for a field that is left out.")
    user_name = user_name if user_name is None else user_name.encode("utf-8", "replace").decode()
    field = password.encode("utf-8", "replace") if isinstance(password, str) else password or b""
    if len(user_name or "") > 10_000 or len(field) > 10_000:
        return not_yet("that is more than a client identifier and a token.")
    if user_name is None and field:
        return not_yet(
            "MQTT 3.1.1 knows no password without a user name. paho leaves it out, and the broker sees no "
            "token at all."
        )
    code = connack(lab, encode(Connect(client_id=CLIENT, username=user_name, password=field or None)))
    return _judged(token, user_name or "", field, code)


def _judged(token: str, user_name: str, password: bytes, code: int | None) -> Result:
    carried = token.encode() in password
    known = {0: "the broker lets it in", None: "the broker closes the connection"}
    said = known.get(code, f"the broker refuses it (code {code})")
    if token in user_name and carried:
        return not_yet(f"{said}: two tokens in one CONNECT. Which one should count?")
    if token in user_name:
        return not_yet(f"{said}, but brokers write user names into their logs.")
    if password.startswith(b"eyJ") and not carried:
        return not_yet(f"{said}: this token is not the one that the function gets as its second argument.")
    if not carried:
        return not_yet(f"{said}: the token is in neither field. The function gets it as its second argument.")
    if password.lower().startswith(b"bearer"):
        return not_yet(f"{said}: HTTP writes Bearer before a token, MQTT has no such word.")
    if password != token.encode():
        return not_yet(f"{said}: the password is not the token letter by letter.")
    if user_name.startswith("eyJ"):
        return not_yet(f"{said}: the user name begins like a token, too. Which one should count?")
    if code != 0:
        return cannot_tell(
            "the fields are right, and yet the broker refuses them. Run the set-up cell again."
        )
    return right("the broker lets it in, and its log shows a user name that is no secret.")
