"""One HTTP request of a device to its authorization server, and what may go wrong with it.

Everything that keeps a secret on its way lives here: TLS that verifies, no redirects, short patience.
"""

import ipaddress
import json
import ssl
import time
from collections.abc import Mapping
from typing import Any

import httpx

from labkit.errors import TokenRequestFailed

__all__ = ["exchange", "is_loopback", "refusal", "tls_context"]

_PATIENCE = 5.0  # seconds without a sign of the server; twice that for a whole answer
_ANSWER_LIMIT = 256 * 1024  # bytes; no honest answer is longer
_ADVICE = {  # error codes of RFC 6749 §5.2
    "invalid_client": "check the client id and the secret",
    "invalid_grant": "the refresh token, code or password is wrong, spent or expired",
    "invalid_scope": "ask for less, or have more registered for this client",
    "unauthorized_client": "this client is not registered for this grant",
    "unsupported_grant_type": "this server does not offer this grant",
}


def exchange(
    url: str,
    *,
    form: Mapping[str, str] | None = None,
    auth: httpx.BasicAuth | None = None,
    ca_file: str | None = None,
) -> tuple[int, dict[str, Any], httpx.Headers]:
    """GET ``url``, or POST ``form`` to it; the status, the JSON object (empty if none came), the headers.

    Raises:
        TokenRequestFailed: no answer, or a plain-text connection beyond this machine (RFC 6749 §3.2).
    """
    body, give_up_at = bytearray(), time.monotonic() + 2 * _PATIENCE
    host = url
    try:
        host = httpx.URL(url).host or url
        local, secure = is_loopback(host), url.startswith("https://")
        if not secure and not (local and url.startswith("http://")):
            raise TokenRequestFailed(f"{host} must be asked over https: no secret and no token goes in clear")
        # Where nothing is encrypted, a context that trusts nobody will do, and is quicker to make.
        tls = tls_context(ca_file) if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # A redirect would carry the secret elsewhere; between two programs of one machine stands no proxy.
        client = httpx.Client(verify=tls, trust_env=not local, timeout=_PATIENCE, follow_redirects=False)
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        method = "GET" if form is None else "POST"
        with client, client.stream(method, url, data=form, auth=auth, headers=headers) as response:
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > _ANSWER_LIMIT or time.monotonic() > give_up_at:
                    raise TokenRequestFailed(f"the answer of {host} is too long, or takes too long")
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise TokenRequestFailed(f"no answer from {host}: {str(error) or type(error).__name__}") from None
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    return response.status_code, answer if isinstance(answer, dict) else {}, response.headers


def refusal(url: str, status: int, answer: Mapping[str, Any], headers: httpx.Headers) -> TokenRequestFailed:
    """Why there is no token.  The server's own sentences stay out: they might repeat what we sent."""
    error = answer.get("error")
    error = error if isinstance(error, str) and error.replace("_", "").isalpha() else None
    advice = _ADVICE.get(error or "", "try again later" if status >= 429 else "check the URL")
    wait = headers.get("Retry-After", "")  # seconds; a date is for those whose clock is right
    return TokenRequestFailed(
        f"{httpx.URL(url).host} gave no token: {error or 'no reason'} (HTTP {status}); {advice}",
        error=error,
        status=status,
        retry_after=float(wait) if wait.isdecimal() and len(wait) < 6 else None,
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """TLS 1.2 or newer that verifies the peer's chain and host name.  Spec: RFC 6750 §5.3."""
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
