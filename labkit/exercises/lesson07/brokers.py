"""Four brokers' judges that make a mistake with what the authorization server says: find the fault."""

from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

import httpx
import jwt
from jwt.types import Options

from labkit.exercises import Result, Wrong, exercise, first_mistake, right
from labkit.exercises.lesson07.carried import introspect
from labkit.show import Shown, html
from labkit.show.text import table

__all__ = ["faults", "four_brokers"]

NAME: Final = "check-sensor-4"
TTL: Final = 10.0


class _Party:
    """Asks, and keeps a yes for ten seconds.  Each of the four changes one step."""

    def __init__(self, lab: Any) -> None:
        self.lab = lab
        self._kept: dict[bytes, float] = {}

    def lets_in(self, token: str) -> bool:
        name, now = sha256(token.encode()).digest(), self.lab.clock.now()
        if now < self._kept.get(name, 0.0):
            return True
        try:
            reply = introspect(token, self.lab, self.lab.resource_server)
            reply.raise_for_status()
            answer = reply.json()
        except (httpx.HTTPError, ValueError):
            return self.without_an_answer()
        if type(answer) is not dict or not self.says_yes(answer.get("active")):
            return False
        self._kept[name] = self.good_until(now, answer.get("exp", now))
        return True

    def revoked(self, token: str) -> None:
        """Somebody tells it; it asks anyway."""

    def without_an_answer(self) -> bool:
        return False

    def says_yes(self, active: object) -> bool:
        return active is True

    def good_until(self, now: float, exp: float) -> float:
        return min(now + TTL, exp)


class _Late(_Party):
    """Uses an answer for its ten seconds, whatever the token's exp."""

    def good_until(self, now: float, exp: float) -> float:
        return now + TTL


class _Looks(_Party):
    """Takes for a yes what Python takes for true."""

    def says_yes(self, active: object) -> bool:
        return bool(active)


class _Open(_Party):
    """Lets in when there is no answer."""

    def without_an_answer(self) -> bool:
        return True


class _Text(_Party):
    """Asks nobody: it checks the JWT itself, and has a list of revoked tokens, by their text."""

    def __init__(self, lab: Any) -> None:
        super().__init__(lab)
        keys = jwt.PyJWKSet.from_dict(httpx.get(lab.jwks_uri).json())
        self._keys = {key.key_id: key for key in keys.keys}
        self._revoked: set[str] = set()

    def lets_in(self, token: str) -> bool:
        if token in self._revoked:
            return False
        try:
            signed = token.rstrip("=")  # its decoder forgives padding, as many do
            key = self._keys[jwt.get_unverified_header(signed)["kid"]]
            off: Options = {"verify_exp": False, "verify_iat": False}  # they read the clock of the machine
            claims = jwt.decode(
                signed, key, ["ES256"], off, audience=self.lab.audience, issuer=self.lab.issuer
            )
        except (jwt.InvalidTokenError, KeyError):
            return False
        return bool(self.lab.clock.now() < claims["exp"])

    def revoked(self, token: str) -> None:
        self._revoked.add(token)


PARTIES: Final[dict[str, Callable[[Any], _Party]]] = {"A": _Open, "B": _Text, "C": _Looks, "D": _Late}
FAULTS: Final = {"A": "open", "B": "text", "C": "looks", "D": "late"}


def _tried(lab: Any) -> list[tuple[str, list[bool]]]:
    """What is tried, and which of the four lets it in."""
    lab.register(NAME, lifetime=300)
    token, parties = lab.token(NAME), [make(lab) for make in PARTIES.values()]
    tried: list[tuple[str, list[bool]]] = []

    def attempt(what: str, shown: str) -> None:
        tried.append((what, [party.lets_in(shown) for party in parties]))

    attempt("a good token", token)
    lab.authserver.revoke(lab.validator.validate(token).jti)
    for party in parties:
        party.revoked(token)
    lab.clock.advance(seconds=5)
    attempt("revoked 5 s ago", token)
    lab.clock.advance(seconds=10)
    attempt("revoked 15 s ago", token)
    attempt("revoked 15 s ago, with == behind it", token + "==")
    faults, path = lab.authserver.faults, lab.introspection_endpoint
    for number, body in enumerate(
        ('{"active": "true"}', '{"active": "false"}', '{"active": null}', "a web page")
    ):
        with faults.garbage(body.encode(), path=path):
            attempt(f"a made-up token; the answer: {body}", f"made-up-{number}")
    with faults.drop(path=path):
        attempt("a made-up token; no answer", "made-up-again")
    lab.register(NAME, lifetime=8)
    short = lab.token(NAME)
    lab.clock.advance(seconds=3)
    attempt("a good token, 5 s before its exp", short)
    lab.clock.advance(seconds=6)
    attempt("the same, 1 s after its exp", short)
    return tried


def four_brokers(lab: Any) -> Shown:
    """Show the four the same tokens, and who lets in what."""
    tried = _tried(lab)
    rows = [(what, *("in" if each else "-" for each in verdicts)) for what, verdicts in tried]
    text = table([("", *PARTIES), *rows], indent="")
    coloured = [
        (what, *(html.chip("in", "amber") if each else "-" for each in verdicts)) for what, verdicts in tried
    ]
    return Shown(text, html.figure(html.table(coloured, head=("", *PARTIES)), text=text))


ABOUT: Final = {
    ("A", "late"): "it keeps no answer past exp: 1 s after it, its door is shut. What of the web page?",
    (
        "A",
        "looks",
    ): 'it is not taken in by the text "true". What do the two rows have in common that it lets in?',
    ("A", "text"): "with == behind it, the revoked token stays out. Look at the made-up tokens.",
    (
        "B",
        "late",
    ): "5 s after the revocation it is the only one that knows: it was told. How does it know a token?",
    ("B", "looks"): "it lets in no made-up token, whatever the answer: it does not even ask.",
    ("B", "open"): "without an answer it lets nobody in: it asks nobody. Which revoked token does it let in?",
    ("C", "late"): "1 s after exp its door is shut. Which made-up tokens does it let in?",
    ("C", "open"): 'no answer, no entry, and null is no yes either. But "false" is one, for it.',
    ("C", "text"): "with == behind it, the revoked token stays out. Look at the made-up tokens.",
    ("D", "looks"): 'it is not taken in by the text "true". Look at the last two rows.',
    ("D", "open"): "it lets in no made-up token. Look at the last two rows.",
    ("D", "text"): "a revoked token stays out in any spelling, 15 s later. Look at the last two rows.",
}


@exercise(
    question=('Each of the four brokers makes one mistake: which? Write "late", "looks", "open" or "text".'),
    cell="""
faults = {
    "A": ____,
    "B": ____,
    "C": ____,
    "D": ____,
}
ex.faults.check(faults)
""",
    solution="""
faults = {
    "A": "open",
    "B": "text",
    "C": "looks",
    "D": "late",
}
ex.faults.check(faults)
""",
    wrong=(
        Wrong(says="What of the web page?", answer=FAULTS | {"A": "late"}),
        Wrong(says="Which revoked token does it let in?", answer=FAULTS | {"B": "open"}),
        Wrong(says='But "false" is one', answer=FAULTS | {"C": "open"}),
        Wrong(says="Look at the last two rows", answer=FAULTS | {"D": "looks"}),
        Wrong(says="one word for each of the brokers", answer={"A": "open"}),
        Wrong(says="one of the four words", answer=FAULTS | {"D": "wrong"}),
    ),
    hints=(
        "Row 2 is no fault: who keeps an answer for 10 s lets a revoked token in for 10 s.",
        "For each column find the row where it alone lets something in. What is special about that row?",
        "A: web page, no answer. B: a second spelling of a token. C: a text that is not empty. D: after exp.",
    ),
    why=(
        "no answer is no yes; true is true, and a text is a text; exp ends what is kept, too; and one token "
        "has many spellings, so a list of revoked tokens goes by jti, and a broker takes one spelling only."
    ),
)
def faults(answer: Any) -> Result:
    otherwise = "go through its column from the top: what should have stayed out?"
    if mistake := first_mistake(answer, FAULTS, ABOUT, thing="broker", otherwise=otherwise):
        return mistake
    return right("no answer, another spelling, a text that is not empty, an answer that outlives the token.")
