"""The page where a person answers a device: one form, no script, no session.  Spec: RFC 8628 §3.3.

Every answer carries user name and password, so there is no login for another site to ride on (CSRF); an
``Origin`` that is not ours is refused all the same.
"""

from html import escape
from string import Template

from labkit.authserver.refusals import Refused, retry_after
from labkit.authserver.replies import Reply
from labkit.authserver.requests import Request
from labkit.authserver.state import State

__all__ = ["answer", "form"]

_HEADERS = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"no-store"),
    # Nothing is loaded, nobody frames us (clickjacking, RFC 8628 §5), the code in the URL goes nowhere else.
    (
        b"content-security-policy",
        b"default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]

_PAGE = Template("""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Connect a device</title></head>
<body>
<h1>Connect a device</h1>
<p role="status">$message</p>
<form method="post" action="/device">
<p><label>Code shown by the device
<input name="user_code" value="$user_code" required autocomplete="off"></label></p>
<p><label>User name
<input name="username" required autocomplete="username"></label></p>
<p><label>Password
<input name="password" type="password" required autocomplete="current-password"></label></p>
<p><button name="answer" value="approve">Allow</button> <button name="answer" value="deny">Refuse</button></p>
</form>
</body>
</html>
""")
_HELLO = "Go on only if you started this yourself and the code is the one on your own device."


def form(user_code: str = "", message: str = _HELLO, *, status: int = 200, wait: float = 0) -> Reply:
    """The page with the form; ``user_code`` fills in the first field."""
    text = _PAGE.substitute(message=escape(message), user_code=escape(user_code))
    headers = [*_HEADERS, retry_after(wait)] if wait else _HEADERS
    return Reply(status=status, body=text.encode(), headers=headers)


def answer(request: Request, state: State, origin: str) -> Reply:
    """Take down the answer in a posted form, and say what came of it."""
    if request.origin not in (None, origin):
        return form(message="This form came from another site.", status=403)
    sent = request.form
    if sent.get("answer") not in ("approve", "deny"):
        return form(message="Choose one: allow or refuse.", status=400)
    wait = state.registry.code_failures.wait(request.peer)
    if wait:
        return form(message="Too many wrong codes: wait.", status=429, wait=wait)
    try:
        state.registry.check_password(sent.get("username", ""), sent.get("password", ""), request.peer)
    except Refused as error:
        again = error.retry_after or 0
        return form(
            sent.get("user_code", ""),
            "Wait before you try again." if again else "The user name or the password is wrong.",
            status=429 if again else 403,
            wait=again,
        )
    approved = sent["answer"] == "approve"
    device = state.answer(sent.get("user_code", ""), sent["username"], approved=approved)
    if device is None:
        state.registry.code_failures.failed(request.peer)
        return form(message="No device waits with this code.", status=400)
    done = "may now act for you" if approved else "was refused"
    return form(message=f"{device.client_id} {done} ({' '.join(device.scopes)}). You can close this page.")
