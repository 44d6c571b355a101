"""A service: own thread and loop, an orderly way in and out."""

import asyncio
import socket
import threading

import pytest

from labkit.errors import ServiceFailed
from labkit.service import Endpoint, Service, is_loopback, listening_socket


class Echo(Service):
    name = "echo"

    def __init__(self, port: int = 0) -> None:
        super().__init__()
        self.port = port
        self._server: asyncio.Server | None = None

    async def _open(self) -> None:
        sock = listening_socket("127.0.0.1", self.port)
        self.port = sock.getsockname()[1]
        self._server = await asyncio.start_server(self._echo, sock=sock)

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()

    async def _echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()


def _ask(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(b"hello\n")
        return client.recv(100)


def test_a_service_answers_while_it_runs_and_keeps_its_port_over_a_restart() -> None:
    service = Echo()
    with service:
        port = service.port
        assert service.running
        assert _ask(port) == b"hello\n"
        assert service.restart().port == port
        assert _ask(port) == b"hello\n"
    assert not service.running
    with pytest.raises(OSError, match=r".+"):
        _ask(port)


def test_start_and_stop_may_be_called_twice_and_leave_no_thread() -> None:
    before = set(threading.enumerate())
    service = Echo()
    service.start().start()
    service.stop()
    service.stop()
    assert set(threading.enumerate()) == before


def test_a_port_in_use_is_a_sentence() -> None:
    with Echo() as first, pytest.raises(ServiceFailed, match="choose another port"):
        Echo(first.port).start()


def test_call_runs_on_the_loop_and_reports_a_service_that_is_not_there() -> None:
    async def where() -> str:
        return threading.current_thread().name

    async def never() -> None:
        await asyncio.Event().wait()

    service = Echo()
    with pytest.raises(ServiceFailed, match="start it first"):
        service.call(where())
    with service:
        assert service.call(where()) == "labkit-echo"
        with pytest.raises(ServiceFailed, match="did not answer"):
            service.call(never(), timeout=0.01)


def test_tasks_that_do_not_want_to_end_are_ended() -> None:
    class Stubborn(Echo):
        async def _open(self) -> None:
            await super()._open()
            self.task = asyncio.create_task(asyncio.Event().wait())

    service = Stubborn()
    with service:
        pass
    assert service.task.cancelled()


def test_endpoints_and_loopback_addresses() -> None:
    assert Endpoint(scheme="mqtt", host="127.0.0.1", port=1883).url == "mqtt://127.0.0.1:1883"
    assert Endpoint(scheme="mqtt", host="::1", port=1883).url == "mqtt://[::1]:1883"
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert is_loopback("localhost")
    assert not is_loopback("0.0.0.0")
    assert not is_loopback("192.0.2.1")
    assert not is_loopback("example.org")
