"""Four cameras that make a mistake with their refresh tokens: find the fault."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from labkit.exercises import Result, Wrong, exercise, first_mistake, right
from labkit.show import Shown, html

__all__ = ["faults", "four_cameras"]

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
OWNER = "check-owner"
#: How an outcome is tinted; every other one says that tokens came.
_TINTS = {"invalid_grant": "red", "no answer": "amber"}


class _Camera:
    """What all four have in common: the two requests, and a log in which refresh tokens have numbers."""

    def __init__(self, letter: str, lab: Any) -> None:
        self.lab = lab
        self.name = f"camera {letter}"
        self.log: list[tuple[int, str, str]] = []  # seconds, what it does, what comes back
        self.tokens: list[str] = []  # number 1 is the first
        self.after = 0
        self._client_id = f"check-camera-{letter.lower()}"
        lab.register(self._client_id, grants=(DEVICE_CODE,), auth="none")
        self._http = httpx.Client()

    def wait(self, seconds: int) -> None:
        self.lab.clock.advance(seconds=seconds)
        self.after += seconds

    def ask_owner(self) -> None:
        started = self._post(self.lab.authserver.device_authorization_endpoint)
        self.lab.authserver.approve(started["user_code"], username=OWNER)
        answer = self._post(
            self.lab.token_endpoint, grant_type=DEVICE_CODE, device_code=started["device_code"]
        )
        self.note("asks its owner", self.told(answer))

    def refresh(self, number: int) -> dict[str, Any]:
        token = self.tokens[number - 1]
        return self._post(self.lab.token_endpoint, grant_type="refresh_token", refresh_token=token)

    def told(self, answer: dict[str, Any]) -> str:
        """An answer in the words of the log."""
        if "refresh_token" not in answer:
            return str(answer.get("error"))
        self.tokens.append(answer["refresh_token"])
        return f"gets {len(self.tokens)}"

    def note(self, what: str, outcome: str) -> None:
        self.log.append((self.after, what, outcome))

    def close(self) -> None:
        self._http.close()

    def _post(self, url: str, **form: str) -> dict[str, Any]:
        try:
            answer = self._http.post(url, data={"client_id": self._client_id, **form}).json()
        except httpx.TransportError:
            return {"error": "no answer"}
        return answer if isinstance(answer, dict) else {}


def _first(camera: _Camera) -> None:
    camera.ask_owner()
    for _ in range(2):
        camera.wait(240)
        camera.note("uses 1", camera.told(camera.refresh(1)))


def _second(camera: _Camera) -> None:
    camera.ask_owner()
    camera.wait(240)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(camera.refresh, (1, 1)))
    for thread, answer in zip(("one thread", "another"), sorted(answers, key=len, reverse=True), strict=True):
        camera.note(f"uses 1 ({thread})", camera.told(answer))
    camera.wait(240)
    camera.note("uses 2", camera.told(camera.refresh(2)))


def _third(camera: _Camera) -> None:
    camera.ask_owner()
    camera.wait(240)
    camera.lab.authserver.stop()
    try:
        camera.note("uses 1", camera.told(camera.refresh(1)))
    finally:
        camera.lab.authserver.start()
    camera.note("throws 1 away", "")
    camera.ask_owner()


def _fourth(camera: _Camera) -> None:
    camera.ask_owner()
    camera.wait(239)
    camera.lab.revoke(camera._client_id)  # the owner has sold it
    for _ in range(4):
        camera.wait(1)
        camera.note("uses 1", camera.told(camera.refresh(1)))


CAMERAS: dict[str, Callable[[_Camera], None]] = {"A": _first, "B": _second, "C": _third, "D": _fourth}


def four_cameras(lab: Any) -> Shown:
    """Run the four cameras against the lab, and show what each did."""
    lab.authserver.register_user(OWNER, "tea for four")
    cameras = []
    for letter, behave in CAMERAS.items():
        camera = _Camera(letter, lab)
        try:
            behave(camera)
        finally:
            camera.close()
        cameras.append(camera)
    text = "\n".join(line for camera in cameras for line in (camera.name, *_lines(camera)))
    rows = [row for camera in cameras for row in _rows(camera)]
    return Shown(text, html.figure(html.table(rows), text=text))


def _lines(camera: _Camera) -> list[str]:
    return [f"  after {after:3} s  {what:22} {outcome}".rstrip() for after, what, outcome in camera.log]


def _rows(camera: _Camera) -> list[tuple[object, ...]]:
    return [
        (
            html.bold(camera.name) if number == 0 else "",
            f"after {after} s",
            what,
            html.chip(outcome, _TINTS.get(outcome, "green")) if outcome else "",
        )
        for number, (after, what, outcome) in enumerate(camera.log)
    ]


FAULTS = {"A": "old", "B": "race", "C": "quits", "D": "insists"}
ABOUT = {
    ("A", "race"): "its two requests are 240 s apart. What did the first answer bring, and where is it?",
    ("A", "insists"): "it was refused only once. Why was it refused at all?",
    ("B", "old"): "token 2 is used in the end. What happened 240 s earlier, twice at once?",
    ("B", "insists"): "it never repeats a request that was refused. Look at the two threads.",
    ("C", "insists"): "it gives up at the first try. Was its token bad?",
    ("C", "old"): "token 1 was never used up: the server gave no answer. Should it be thrown away?",
    ("D", "quits"): "it does not quit at all: look at how often it asks.",
    (
        "D",
        "old",
    ): "token 1 is the newest it has. What does invalid_grant ask of a device, and what does it do?",
}


@exercise(
    question=(
        'Each of the four cameras makes one mistake: which? Write "insists", "old", "quits" or "race".'
    ),
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
    "A": "old",
    "B": "race",
    "C": "quits",
    "D": "insists",
}
ex.faults.check(faults)
""",
    wrong=(
        Wrong(says="where is it?", answer=FAULTS | {"A": "race"}),
        Wrong(says="twice at once", answer=FAULTS | {"B": "old"}),
        Wrong(says="Should it be thrown away?", answer=FAULTS | {"C": "old"}),
        Wrong(says="how often it asks", answer=FAULTS | {"D": "quits"}),
        Wrong(says="one word for each of the cameras", answer={"A": "old"}),
        Wrong(says="one of the four words", answer=FAULTS | {"D": "wrong"}),
    ),
    hints=(
        "For each request ask: was this the newest token the camera had, and had nobody used it before?",
        "A and B both use token 1 twice. One of them does so at the same moment, from two threads.",
        "invalid_grant is final: D asks again all the same. No answer is not final: C gives up all the same.",
    ),
    why=(
        "keep the newest refresh token and only that (RFC 6749 §6), let one thread at a time use it, keep it "
        "when the server is away, and drop it on invalid_grant, which will not change."
    ),
)
def faults(answer: Any) -> Result:
    otherwise = "go through its lines one by one: which token, when, and what came back?"
    if mistake := first_mistake(answer, FAULTS, ABOUT, thing="camera", otherwise=otherwise):
        return mistake
    return right("a token used up, two threads at once, a token thrown away, an answer not taken.")
