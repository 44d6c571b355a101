"""Find the bytes of CONNECT that carry a token."""

from typing import Any

from labkit.exercises import (
    AnswerFailed,
    Result,
    Wrong,
    brief,
    exercise,
    not_yet,
    right,
    try_answer,
)
from labkit.exercises.trying import describe
from labkit.wire import Connect, encode

__all__ = ["token_of"]

#: A token that is no JWT: the example of RFC 6749 §5.1.
OTHER_KIND = b"2YotnFZFEjr1zCsicMWpAA"
#: A user name longer than a token.  With it, the remaining length takes two bytes beside a short token, too.
LONG = "a label " * 100


def _fields(packet: bytes) -> list[bytes]:
    """Client identifier, user name and password of a CONNECT without a will; empty where there is none."""
    at, found = 13, []
    for _ in range(3):
        size = int.from_bytes(packet[at : at + 2])
        found.append(packet[at + 2 : at + 2 + size])
        at += 2 + size
    return found


@exercise(
    question=(
        "Complete the function, so that it returns the token out of the bytes of a CONNECT, whichever field "
        "carries it."
    ),
    cell="""
def token_of(packet):
    found, at = [], 13
    for _ in ("client identifier", "user name", "password"):
        start = at + ____
        size = int.from_bytes(packet[at:start])
        found.append(packet[start : start + size])
        at = start + size
    return ____


ex.token_of.check(token_of, lab)
""",
    solution="""
def token_of(packet):
    found, at = [], 13
    for _ in ("client identifier", "user name", "password"):
        start = at + 2
        size = int.from_bytes(packet[at:start])
        found.append(packet[start : start + size])
        at = start + size
    return found[2] or found[1]


ex.token_of.check(token_of, lab)
""",
    wrong=(
        Wrong(says="returns nothing, but this client", answer=lambda packet: _fields(packet)[2]),
        Wrong(says="that is the user name", answer=lambda packet: _fields(packet)[1]),
        Wrong(says="that is the client identifier", answer=lambda packet: _fields(packet)[0]),
        Wrong(
            says="the two bytes of length",
            answer=lambda packet: packet[packet.index(b"eyJ") - 2 :].rstrip(b"\0"),
        ),
        Wrong(says="the whole packet", answer=lambda packet: packet),
        Wrong(says="where it starts", answer=lambda packet: packet.index(b"eyJ")),
        Wrong(says="a part of the token", answer=lambda packet: packet[packet.index(b"eyJ") :][:20]),
        Wrong(says="behind a longer user name", answer=lambda packet: max(_fields(packet), key=len)),
        Wrong(
            says="does not begin with eyJ. Your code raised StopIteration",
            answer=lambda packet: next(each for each in _fields(packet) if each.startswith(b"eyJ")),
        ),
        Wrong(says="hand over the function itself", answer=b"eyJ"),
    ),
    hints=(
        "Every field begins with its length. How many bytes does the table show for a length?",
        "Two bytes of length, then the field. Behind the end of the packet Python finds empty bytes.",
        "2, and then: found[2] or found[1]. In Python, empty bytes count as False.",
    ),
    why=(
        "all fields of CONNECT that vary in length have two bytes of length in front (MQTT 3.1.1 §1.5.3 and "
        "§3.1.3.5). A broker finds the token in the same way, and so does everybody who listens."
    ),
)
def token_of(answer: Any, lab: Any) -> Result:
    if not callable(answer):
        return not_yet("hand over the function itself, without calling it: check(token_of, lab).")
    for name in ("check-1", "check-with-a-longer-name"):
        lab.register(name)
        token = lab.token(name)
        ways: tuple[tuple[str, str, bytes | None], ...] = (
            ("carries the token in the password", "a label", token.encode()),
            ("carries the token in the user name and has no password", token, None),
            ("carries the token in the user name and has an empty password", token, b""),
            ("carries the token in the password, behind a longer user name", LONG, token.encode()),
            ("carries another kind of token, which does not begin with eyJ", LONG, OTHER_KIND),
        )
        for way, user_name, password in ways:
            packet = encode(Connect(client_id=name, username=user_name, password=password))
            try:
                found = try_answer(answer, packet)
            except AnswerFailed as failed:
                return not_yet(f"one client {way}. Your code raised {describe(failed.__cause__)}.")
            if trouble := _trouble(found, password or user_name.encode(), packet, way):
                return not_yet(trouble)
    return right("ten packets of ten clients, and the token found in each of them.")


def _trouble(found: Any, token: bytes, packet: bytes, way: str) -> str:
    """What is wrong with the bytes that the answer has found; nothing if they are the token."""
    if type(found) is str:
        found = found.encode("utf-8", "replace")
    if type(found) is int:
        return "that is where it starts, a number. Return the bytes of the token."
    if type(found) not in (bytes, bytearray):
        return f"one client {way}. Your function returns {brief(found)}, not bytes."
    client_id, user_name, _ = _fields(packet)
    if found == token:
        return ""
    if not found:
        return f"your function returns nothing, but this client {way}."
    if found == packet:
        return "that is the whole packet. Where does the token start, and where does it end?"
    if found == client_id:
        return "that is the client identifier. The token comes later."
    if found == user_name:
        return f"that is the user name, but this client {way}."
    if found[2:] == token or found.startswith(packet[packet.index(token) - 2 :][:2] + token[:8]):
        return "the two bytes of length are in front of it: they are no part of the field."
    if found in token:
        return f"one client {way}. You return a part of the token: {len(found)} of {len(token)} bytes."
    return (
        f"one client {way}. You return {len(found)} bytes, and they are not the token ({len(token)} bytes)."
    )
