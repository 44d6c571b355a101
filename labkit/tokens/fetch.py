"""One HTTP exchange with the authorization server, as a relying party can afford it.

Bounded in time and size, never redirected, never through a proxy, and over TLS unless the server is on this
machine.  Whatever goes wrong comes out as :class:`FetchFailed` with a sentence.
"""

import contextlib
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from labkit.tokens.jose import NotStrict, decode_object

__all__ = ["Endpoint", "FetchFailed"]


class FetchFailed(Exception):
    """No usable answer came; the message says why.  ``status`` is the HTTP status, or ``None``."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        self.status = status
        super().__init__(message)


class Endpoint:
    """A URL of the authorization server that answers with a JSON object.  Thread-safe.

    Args:
        url: ``https``; plain ``http`` only to a loopback address.
        ca_file: PEM file of the certificates to trust instead of the usual ones.
        auth: user name and password for HTTP Basic, as they go into the header.
        timeout: seconds for each step: to connect, to begin the answer, to send the whole of it.
        max_bytes: longest answer that is read.

    Raises:
        ValueError: the URL is none, or would carry something in the clear beyond this machine.
    """

    def __init__(
        self,
        url: str,
        *,
        ca_file: Path | str | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float = 3.0,
        max_bytes: int = 262_144,
    ) -> None:
        self.url = _checked(url)
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._under_way: set[Callable[[], None]] = set()
        trust: ssl.SSLContext | bool = True
        if self.url.scheme == "http":
            # Nothing to verify, and loading the usual certificates would take longer than starting a lab.
            trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        elif ca_file is not None:
            trust = ssl.create_default_context(cafile=str(ca_file))
        self._client = httpx.Client(
            verify=trust,
            auth=auth,
            timeout=timeout,
            trust_env=False,
            follow_redirects=False,
            # Identity: a small compressed answer could become a very large one.
            # A connection each: a kept one may have died with the server, and could not be cut off.
            headers={"Accept": "application/json", "Accept-Encoding": "identity", "Connection": "close"},
        )

    def get(self) -> dict[str, Any]:
        """The JSON object at the URL.

        Raises:
            FetchFailed: no usable answer came.
        """
        return self._exchange(self._client.build_request("GET", self.url))

    def post(self, form: Mapping[str, str]) -> dict[str, Any]:
        """The JSON object that the server answers to ``form``.

        Raises:
            FetchFailed: no usable answer came.
        """
        return self._exchange(self._client.build_request("POST", self.url, data=dict(form)))

    def close(self) -> None:
        """Close the connections; an exchange under way fails at once."""
        for cut in list(self._under_way):
            cut()
        with contextlib.suppress(RuntimeError):  # httpx may mind the one under way
            self._client.close()

    def _exchange(self, request: httpx.Request) -> dict[str, Any]:
        # httpx limits each read, not their number: a header, byte by byte, or 100 Continue without end would
        # hold the caller for as long as the server likes.
        if self._client.is_closed:
            raise FetchFailed(f"{self.url.host} is not asked any more: this endpoint has been closed")
        try:
            with _cut_off(request, 3 * self._timeout) as cut:
                self._under_way.add(cut)
                try:
                    response = self._client.send(request, stream=True)
                    try:
                        body = self._read(response)
                    finally:
                        response.close()
                finally:
                    self._under_way.discard(cut)
        except (httpx.HTTPError, OSError, RuntimeError) as error:  # RuntimeError: closed a moment ago
            raise FetchFailed(f"{self.url.host} {_trouble(error)}") from None
        try:
            return decode_object(body)
        except NotStrict as error:
            raise FetchFailed(f"{self.url.host} answered with something else than JSON: {error}") from None

    def _read(self, response: httpx.Response) -> bytes:
        status = response.status_code
        if status != 200:
            detail = ", a redirect, and those are not followed" if response.has_redirect_location else ""
            raise FetchFailed(f"{self.url.host} answered with HTTP {status}{detail}", status=status)
        if response.headers.get("content-encoding", "identity") != "identity":
            raise FetchFailed(f"{self.url.host} compressed its answer unasked")
        body = bytearray()
        deadline = time.monotonic() + self._timeout
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > self._max_bytes:
                raise FetchFailed(f"{self.url.host} answered with more than {self._max_bytes} bytes")
            if time.monotonic() > deadline:
                raise FetchFailed(f"{self.url.host} took longer than {self._timeout:g} s for its answer")
        return bytes(body)


@contextlib.contextmanager
def _cut_off(request: httpx.Request, seconds: float) -> Iterator[Callable[[], None]]:
    """Shut the connection that ``request`` opens when it is not done after ``seconds``, or when told to."""
    sockets: list[socket.socket] = []

    def opened(event: str, info: Mapping[str, Any]) -> None:
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            sockets.append(info["return_value"].get_extra_info("socket"))

    def cut() -> None:
        for each in sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    request.extensions = {**request.extensions, "trace": opened}
    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield cut
    finally:
        timer.cancel()


def _trouble(error: BaseException) -> str:
    """What went wrong, without anything that was sent."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"shows a certificate that is not to be trusted ({cause.verify_message.rstrip('.')})"
        cause = cause.__cause__ or cause.__context__
    return f"did not answer ({type(error).__name__})"


def _checked(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        raise ValueError("an endpoint is an absolute https URL") from None
    if parsed.scheme not in ("https", "http") or not parsed.host or parsed.userinfo or parsed.fragment:
        raise ValueError("an endpoint is an absolute https URL, without user name, password and fragment")
    if parsed.scheme == "http" and not _is_loopback(parsed.host):
        raise ValueError(f"{parsed.host} is not this machine: use https (plain http is for loopback only)")
    return parsed


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
