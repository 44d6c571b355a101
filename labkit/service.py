"""Run an asyncio service on its own thread and its own loop.

Notebook cells block.  A server on the kernel's loop would deadlock with the client in the next cell, so each
server has a thread and a loop to itself, binds port 0 on loopback, and keeps that port when it restarts.
"""

import asyncio
import concurrent.futures
import contextlib
import ipaddress
import os
import socket
import sys
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from labkit.errors import ServiceFailed

__all__ = [
    "Endpoint",
    "Service",
    "descriptors",
    "is_loopback",
    "listening_socket",
    "stop_listening",
    "untie",
]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a server listens: ``host``, TCP ``port``, ``path`` (of WebSocket), and the ``url`` of all."""

    scheme: str
    host: str
    port: int
    path: str = ""

    @property
    def url(self) -> str:
        """For example ``mqtt://127.0.0.1:1883``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"


def is_loopback(host: str) -> bool:
    """Whether ``host`` is an address that only this machine can reach."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def descriptors() -> int:
    """How many sockets and files this process may have open."""
    if sys.platform == "win32":
        return 8192  # no such limit there; this is the C runtime's own
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1_048_576 if soft == resource.RLIM_INFINITY else soft


def listening_socket(host: str, port: int, *, backlog: int = 1024) -> socket.socket:
    """A bound, listening, non-blocking TCP socket; port 0 lets the system choose.

    Raises:
        ServiceFailed: the address or the port cannot be had; the message says what to do.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # IPPROTO_TCP matters: asyncio sets TCP_NODELAY only on sockets that say so (44 ms a request otherwise).
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform == "win32":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        elif os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(backlog)
        sock.setblocking(False)
    except (OSError, OverflowError) as error:
        sock.close()
        advice = "another program may be using it; choose another port, or 0 for any that is free"
        raise ServiceFailed(f"cannot listen on {host} port {port}: {advice} ({error})") from None
    return sock


async def stop_listening(server: asyncio.Server) -> None:
    """Close the listening sockets of ``server``, once what it has accepted has reached its protocol.

    ``close()`` alone trips asyncio over a connection that it accepted a moment before: an assertion fails,
    and that socket stays open until the garbage collector finds it.
    """
    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError):  # Windows' loop has no readers
        for sock in server.sockets:
            loop.remove_reader(sock.fileno())
    for _ in range(4):  # turns of the loop from accept() to connection_made()
        await asyncio.sleep(0)
    server.close()


def untie(transport: asyncio.BaseTransport | None) -> None:
    """Cut a closed transport loose from itself.

    asyncio's transport keeps bound methods of itself.  Without that cycle a whole connection is freed at
    once, and the garbage collector finds nothing to stop the loop for.
    """
    for name in ("_read_ready_cb", "_write_ready"):
        getattr(transport, "__dict__", {}).pop(name, None)


class Service:
    """Base of the servers: a thread, a loop, and an orderly way in and out.

    A subclass opens in :meth:`_open` and closes in :meth:`_close`, both on the service's own loop.
    ``start`` and ``stop`` may be called any number of times, in any order, from any other thread.
    """

    name = "service"

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopping: asyncio.Event | None = None
        self._gate = threading.Lock()

    async def _open(self) -> None:
        raise NotImplementedError

    async def _close(self) -> None:
        raise NotImplementedError

    @property
    def running(self) -> bool:
        """Whether the service accepts connections now."""
        return self._loop is not None

    def start(self) -> Self:
        """Start, and return when connections are accepted.  Does nothing when running.

        Raises:
            ServiceFailed: it could not start; the message says what to do.
        """
        with self._gate:
            if self._loop is None:
                ready: concurrent.futures.Future[None] = concurrent.futures.Future()
                thread = threading.Thread(
                    target=self._main, args=(ready,), name=f"labkit-{self.name}", daemon=True
                )
                thread.start()
                try:
                    ready.result()
                except BaseException:
                    thread.join()
                    raise
                self._thread = thread
        return self

    def stop(self) -> None:
        """Stop, and return when every connection, task and thread of the service is gone."""
        with self._gate:
            loop, thread, stopping = self._loop, self._thread, self._stopping
            if loop is None or thread is None or stopping is None:
                return
            if thread is threading.current_thread():
                raise ServiceFailed(f"the {self.name} cannot stop itself from its own thread")
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                loop.call_soon_threadsafe(stopping.set)
            thread.join()
            self._thread = None

    def restart(self) -> Self:
        """Stop and start again on the same port."""
        self.stop()
        return self.start()

    def call(self, work: Coroutine[Any, Any, _T], *, timeout: float = 10.0) -> _T:
        """Run ``work`` on the service's loop and return its result; for callers on other threads.

        Raises:
            ServiceFailed: the service is not running, or did not answer within ``timeout`` seconds.
        """
        loop = self._loop
        if loop is None or loop.is_closed():
            work.close()
            raise ServiceFailed(f"the {self.name} is not running: start it first")
        try:
            future = asyncio.run_coroutine_threadsafe(work, loop)
        except RuntimeError:
            work.close()
            raise ServiceFailed(f"the {self.name} is not running: start it first") from None
        try:
            return future.result(timeout)
        except concurrent.futures.TimeoutError:
            future.cancel()
            raise ServiceFailed(f"the {self.name} did not answer within {timeout:g} s") from None
        except concurrent.futures.CancelledError:
            raise ServiceFailed(f"the {self.name} stopped before it could answer") from None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _main(self, ready: "concurrent.futures.Future[None]") -> None:
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(self._serve(ready))
        finally:
            self._loop = None
            _drain(loop)

    async def _serve(self, ready: "concurrent.futures.Future[None]") -> None:
        self._stopping = asyncio.Event()
        try:
            await self._open()
        except BaseException as error:
            ready.set_exception(error)
            return
        self._loop = asyncio.get_running_loop()
        ready.set_result(None)
        try:
            await self._stopping.wait()
        finally:
            await self._close()


def _drain(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what is left on ``loop`` and close it."""
    try:
        for _ in range(3):  # a cancelled task may start another one on its way out
            left = asyncio.all_tasks(loop)
            if not left:
                break
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.wait(left, timeout=1.0))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()
