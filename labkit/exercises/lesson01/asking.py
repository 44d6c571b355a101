"""Ask for a token with the right form, and wait for a person without asking too often."""

import base64
import json
import ssl
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import httpx

from labkit.exercises import Result, Wrong, brief, cannot_tell, exercise, not_yet, right, try_answer

__all__ = ["ask", "next_wait"]

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
BELOW = "devices/thermostat-1/#"
TOPIC = "devices/thermostat-1/temperature"


@cache
def _trusted() -> ssl.SSLContext:
    """Reading the certificates of the system takes longer than a request, so it is done once."""
    return ssl.create_default_context()


def _post(url: str, form: Mapping[str, str], auth: tuple[str, str] | None = None) -> httpx.Response:
    return httpx.post(url, data=form, auth=auth, verify=_trusted())


def _refused(error: str, form: Mapping[Any, Any], asked: Callable[[str], bool]) -> str:
    """What to say about an error answer to the learner's form; ``asked`` tries one scope on the server."""
    if error == "unsupported_grant_type":
        grant = str(form.get("grant_type"))
        nearly = "".join(filter(str.isalpha, grant.lower())) == "clientcredentials"
        advice = (
            "Names are exact: copy it from the request above."
            if nearly
            else "Which grant is for a device that asks in its own name?"
        )
        return f"the server answers {error}: it does not offer {brief(grant)}. {advice}"
    if error == "unauthorized_client":
        return f"the server answers {error}: this device is not registered for that grant."
    if error == "invalid_scope":
        return f"the server answers {error}: {_of_scope(str(form.get('scope', '')), asked)}"
    return f"the server answers {error}: compare your form with the request of the cell above."


def _of_scope(scope: str, asked: Callable[[str], bool]) -> str:
    """Why the server refuses a scope: the first of its words that the server does not take alone."""
    words = scope.split(" ")
    if "" in words or not scope.isprintable() or any(mark in scope for mark in ",;"):
        return "scopes are separated by one space, and by nothing else."
    word = next((each for each in words if not asked(each)), scope)
    if not word.startswith("mqtt."):
        return f"the names of scopes here begin with mqtt., and {brief(word, most=80)} does not."
    if word.startswith(("mqtt.publish:", "mqtt.subscribe:")) and not word.endswith(":"):
        return f"{brief(word, most=80)} is more than the device is registered for, which is {BELOW}."
    return (
        "a right for a topic is one word, mqtt.publish: and the topic right behind it. "
        "The first answer of this notebook lists three rights."
    )


def _is_text(entry: tuple[object, object]) -> bool:
    """Whether name and value are text that can travel: half of a surrogate pair cannot."""
    return all(type(part) is str and part == part.encode("utf-8", "replace").decode() for part in entry)


def _scope(token: str) -> str:
    part = token.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))).get("scope", ""))


@exercise(
    question=(
        "Fill in the form so that the token is good for two things only: to connect, and to publish to "
        f"`{TOPIC}`."
    ),
    cell="""
form = {
    "grant_type": ____,
    "scope": ____,
}
ex.ask.check(form, lab)
""",
    solution=f"""
form = {{
    "grant_type": "client_credentials",
    "scope": "mqtt.connect mqtt.publish:{TOPIC}",
}}
ex.ask.check(form, lab)
""",
    wrong=(
        Wrong(
            says="it does not offer 'password'",
            answer={"grant_type": "password", "scope": "mqtt.connect"},
        ),
        Wrong(says="holds every right", answer={"grant_type": "client_credentials"}),
        Wrong(
            says="without mqtt.connect",
            answer={"grant_type": "client_credentials", "scope": f"mqtt.publish:{TOPIC}"},
        ),
        Wrong(
            says="separated by one space",
            answer={"grant_type": "client_credentials", "scope": f"mqtt.connect,mqtt.publish:{TOPIC}"},
        ),
        Wrong(
            says="begin with mqtt.",
            answer={"grant_type": "client_credentials", "scope": TOPIC},
        ),
        Wrong(
            says="is more than the device is registered for",
            answer={"grant_type": "client_credentials", "scope": f"mqtt.connect mqtt.publish:/{TOPIC}"},
        ),
        Wrong(
            says="copy it from the request above",
            answer={"grant_type": "client credentials", "scope": "mqtt.connect"},
        ),
        Wrong(
            says="is one word",
            answer={"grant_type": "client_credentials", "scope": f"mqtt.connect mqtt.publish {TOPIC}"},
        ),
        Wrong(
            says="more than you were asked for",
            answer={"grant_type": "client_credentials", "scope": f"mqtt.connect mqtt.publish:{BELOW}"},
        ),
        Wrong(
            says="nothing can be published",
            answer={"grant_type": "client_credentials", "scope": "mqtt.connect"},
        ),
        Wrong(says="a dict with two entries", answer="client_credentials"),
    ),
    hints=(
        "The grant is the one you have just used. Which scopes did the answer list?",
        "Scopes are names: mqtt.connect lets a device connect, mqtt.publish: and a topic lets it publish.",
        f'Two scopes, one space between them: "mqtt.connect mqtt.publish:" and then {TOPIC}.',
    ),
    why=(
        "a token should allow what the next task needs, and no more: whoever steals this one can publish one "
        "temperature, for five minutes."
    ),
    given="thermostat = lab.register('thermostat-1')",
)
def ask(answer: Any, lab: Any) -> Result:
    if type(answer) is not dict or not all(map(_is_text, answer.items())):
        return not_yet("the form is a dict with two entries, and both values are text.")
    client = lab.register("check-ask", publish=[BELOW], subscribe=[BELOW])

    def post(form: Mapping[str, str]) -> httpx.Response:
        return _post(lab.token_endpoint, form, auth=(client.client_id, client.client_secret))

    def asked(scope: str) -> bool:
        return post({"grant_type": "client_credentials", "scope": scope}).status_code == 200

    reply = post(answer)
    if reply.status_code != 200:
        return not_yet(_refused(reply.json().get("error", "an error"), answer, asked))
    scopes = set(_scope(reply.json()["access_token"]).split(" "))
    wanted = {"mqtt.connect", f"mqtt.publish:{TOPIC}"}
    if scopes == wanted:
        return right(f"the server gave a token for {' and '.join(sorted(scopes))}, and nothing else.")
    if not answer.get("scope"):
        return not_yet("a request without scope gets a token that holds every right of the device.")
    if "mqtt.connect" not in scopes:
        return not_yet("without mqtt.connect the broker does not even let the device in.")
    if scopes == {"mqtt.connect"}:
        return not_yet("this token connects, but nothing can be published with it.")
    extra = ", ".join(sorted(scopes - wanted)) or "another topic"
    return not_yet(f"this token allows {extra}: more than you were asked for, or something else.")


@exercise(
    question=(
        "Complete the function: it takes the error code of the answer and the interval so far (seconds), and "
        "returns how long to wait before the next try, or None to stop."
    ),
    cell="""
def next_wait(error, interval):
    if error == "authorization_pending":
        return interval
    if error == ____:
        return ____
    return None


ex.next_wait.check(next_wait, lab)
""",
    solution="""
def next_wait(error, interval):
    if error == "authorization_pending":
        return interval
    if error == "slow_down":
        return interval + 5
    return None


ex.next_wait.check(next_wait, lab)
""",
    wrong=(
        Wrong(says="not faster than it was told", answer=lambda error, interval: 0),
        Wrong(says="5 seconds longer", answer=lambda error, interval: interval),
        Wrong(
            says="gives up on slow_down",
            answer=lambda error, interval: interval if error == "authorization_pending" else None,
        ),
        Wrong(
            says="asks for ever",
            answer=lambda error, interval: interval if error == "authorization_pending" else interval + 5,
        ),
        Wrong(
            says="once more",
            answer=lambda error, interval: (
                None if error == "access_denied" else interval if "pending" in error else 10
            ),
        ),
        Wrong(says="gives up while the owner", answer=lambda error, interval: None),
        Wrong(says="hand over the function itself", answer=10),
    ),
    hints=(
        "Poll twice in a row, as the text above says. What is the error the second time?",
        "The word is slow_down, and it asks for a longer interval from now on.",
        'slow_down adds 5 seconds: if error == "slow_down": return interval + 5.',
    ),
    why=(
        "a fleet that polls as fast as it can takes the server down. Two codes mean: go on; every other code "
        "means: stop (RFC 8628 §3.5)."
    ),
)
def next_wait(answer: Any, lab: Any) -> Result:
    if not callable(answer):
        return not_yet("hand over the function itself, without calling it: check(next_wait, lab).")
    lab.register("check-camera", grants=(DEVICE_CODE,), auth="none")
    started = _post(lab.authserver.device_authorization_endpoint, {"client_id": "check-camera"}).json()
    form = {"grant_type": DEVICE_CODE, "client_id": "check-camera", "device_code": started["device_code"]}

    def error_now() -> str:
        return str(_post(lab.token_endpoint, form).json().get("error"))

    interval = started.get("interval", 5)
    said = error_now()
    if said != "authorization_pending":
        return cannot_tell(f"the server answers {said} at the first try. Run the set-up cell again.")
    wait = try_answer(answer, said, interval)
    if wait is None:
        return not_yet(f"the server says {said}, and your device gives up while the owner looks for a phone.")
    if type(wait) not in (int, float) or wait < interval:
        return not_yet(
            f"after {said} it wants to wait {brief(wait)}: not faster than it was told, {interval} s."
        )
    said = error_now()  # at once, and so too fast
    slower = try_answer(answer, said, interval)
    if slower is None:
        return not_yet(f"your device gives up on {said}, though the owner can still say yes.")
    if type(slower) not in (int, float) or slower != interval + 5:
        return not_yet(
            f"the server says {said}: from now on wait 5 seconds longer, {interval + 5} s in all, not "
            f"{brief(slower)}."
        )
    said = error_now()
    again = try_answer(answer, said, slower)
    if type(again) not in (int, float) or again != slower + 5:
        return not_yet(
            f"the server says {said} once more: {slower + 5} s from now on, not {brief(again)}. Add to "
            "the interval so far."
        )
    lab.authserver.deny(started["user_code"])
    lab.clock.advance(seconds=4 * interval)
    said = error_now()
    if (
        try_answer(answer, said, slower) is not None
        or try_answer(answer, "expired_token", slower) is not None
    ):
        return not_yet(f"the owner said no, the server says {said}, and your device asks for ever.")
    return right(f"it waited {wait} s, then {slower} s, then {again} s, and stopped at {said}.")
