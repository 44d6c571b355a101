"""What a broker says to AUTH 0x19 on a living connection."""

from typing import Any, Final

from labkit.exercises import AnswerFailed, Result, Wrong, brief, exercise, name_of, not_yet, right, try_answer

__all__ = ["verdict"]

METHOD: Final = "OAUTH2-JWT"
BEARER: Final = "OAUTHBEARER"
MINE: Final = {"client_id": "pump-1"}
OTHERS: Final = {"client_id": "pump-2"}

#: Method of AUTH, method of CONNECT, claims, client id, code, and what to say to who decides otherwise.
CASES: Final[tuple[tuple[str, str | None, dict[str, str] | None, str, int, str], ...]] = (
    (
        METHOD,
        METHOD,
        MINE,
        "pump-1",
        0x00,
        "the token is good, and of this device: success is wanted, 0x00.",
    ),
    (METHOD, METHOD, None, "pump-1", 0x87, "a token that is no good has to end the connection with 0x87."),
    (METHOD, METHOD, OTHERS, "pump-1", 0x87, "another device's token takes over the connection."),
    (
        "OAUTHBEARER",
        METHOD,
        MINE,
        "pump-1",
        0x82,
        "AUTH names another method than CONNECT: that breaks the protocol.",
    ),
    (METHOD, None, MINE, "pump-1", 0x82, "CONNECT named no method, so AUTH breaks the protocol."),
    (BEARER, METHOD, None, "pump-1", 0x82, "a broken protocol comes first: look at the method."),
    (METHOD, METHOD, OTHERS, "pump-2", 0x00, "the client id is that of this connection, whichever that is."),
)


def _is_other(claims: dict[str, str], client_id: str) -> bool:
    return claims["client_id"] != client_id


def _made(strange: Any = 0x82, bad: Any = 0x87, owner: Any = _is_other, good: Any = 0) -> Any:
    """Functions like the solution, for wrong answers."""

    def verdict(auth_method: str, connect_method: str | None, claims: Any, client_id: str) -> Any:
        if auth_method != connect_method:
            return strange
        if claims is None:
            return bad
        return 0x87 if owner(claims, client_id) else good

    return verdict


@exercise(
    question=(
        "Complete the function: it returns the reason code with which a broker answers AUTH 0x19. claims are "
        "those of the new token, or None if the token was no good; client_id is that of the connection."
    ),
    cell="""
def verdict(auth_method, connect_method, claims, client_id):
    if auth_method != connect_method:
        return ____
    if claims is None:
        return ____
    if claims["client_id"] != ____:
        return 0x87
    return ____


ex.verdict.check(verdict)
""",
    solution="""
def verdict(auth_method, connect_method, claims, client_id):
    if auth_method != connect_method:
        return 0x82
    if claims is None:
        return 0x87
    if claims["client_id"] != client_id:
        return 0x87
    return 0x00


ex.verdict.check(verdict)
""",
    wrong=(
        Wrong(says="breaks the protocol", answer=_made(strange=0x87)),
        Wrong(says="no good has to end the connection", answer=_made(bad=0x86)),
        Wrong(says="another device's token takes over", answer=_made(owner=lambda claims, name: False)),
        Wrong(says="whichever that is", answer=_made(owner=lambda claims, name: claims != MINE)),
        Wrong(says="success is wanted", answer=_made(good=0x19)),
        Wrong(says="a number is wanted", answer=_made(good="0x00")),
        Wrong(says="hand over the function itself", answer=0),
    ),
    hints=(
        "Three codes are enough: for success, for a broken protocol, and for a token that is no good.",
        "The table above has them: 0x82 is the protocol error, 0x87 means not authorized, 0x00 success.",
        "0x82, 0x87, client_id, 0x00.",
    ),
    why=(
        "a connection belongs to one client identifier, and to one method (MQTT 5 §4.12). A new token may "
        "bring other rights and another end, but not another owner."
    ),
)
def verdict(answer: Any) -> Result:
    if not callable(answer):
        return not_yet("hand over the function itself, without calling it: check(verdict).")
    for auth_method, connect_method, claims, client_id, wanted, message in CASES:
        try:
            code = try_answer(answer, auth_method, connect_method, claims and dict(claims), client_id)
        except AnswerFailed as failed:
            return not_yet(f"it falls over one of the cases: {name_of(type(failed.__cause__))}.")
        if type(code) is not int:
            return not_yet(f"it returns {brief(code)}: a number is wanted, such as 0x87.")
        if code != wanted:
            return not_yet(message)
    return right("the protocol first, then the token, then whose it is.")
