"""The brokers of the CONNECT section: how each is started, and what a client sends to be admitted."""

import abc
import os
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path

from bench.children import HERE, Child, Unavailable, free_port, python, scratch
from bench.load_mqtt import connect_packet
from bench.mint import AUDIENCE, Issuer

#: One connection of a load: client id, user name, password.
Connect = tuple[str, str | None, str | None]


class Contender(abc.ABC):
    """A broker under load."""

    name: str
    child: Child
    host = "127.0.0.1"
    port: int

    def __init__(self, issuer: Issuer, jwks_url: str) -> None:
        self.issuer = issuer
        self.jwks_url = jwks_url

    @abc.abstractmethod
    def start(self) -> None:
        """Start it, and return when it admits.

        Raises:
            Unavailable: it cannot run here.
        """

    def connect(self, client_id: str) -> Connect:
        """What this client sends; anonymous unless a broker wants more."""
        return client_id, None, None

    def stop(self) -> None:
        """End it."""
        if hasattr(self, "child"):
            self.child.stop()

    def _wait_until_admitting(self, limit: float) -> None:
        deadline = time.monotonic() + limit
        packet = connect_packet(*self.connect("ready"))
        seen = b""
        while time.monotonic() < deadline and self.child.process.poll() is None:
            try:
                with socket.create_connection((self.host, self.port), timeout=2) as sock:
                    sock.sendall(packet)
                    seen = sock.recv(4)
                    sock.sendall(b"\xe0\x00")
                if seen == b"\x20\x02\x00\x00":
                    return
            except OSError:
                pass
            time.sleep(0.2)
        ended = self.child.process.poll()
        how = f"did not admit within {limit:g} s" if ended is None else f"ended with {ended}"
        raise Unavailable(f"{how} (last answer {seen.hex() or 'none'}){self.child.tail()}")


class Gate(Contender):
    """labkit's broker; a fresh ES256 token in the password of every CONNECT."""

    name = "labkit gate, ES256"

    def start(self) -> None:
        self.child = python("serve_gate.py", self.issuer.url, AUDIENCE, self.jwks_url)
        facts = self.child.facts(30)
        self.host, self.port = facts["host"], facts["port"]

    def connect(self, client_id: str) -> Connect:
        return client_id, client_id, self.issuer.device_token(client_id)


class PlainAmqtt(Contender):
    """amqtt by itself, anonymous."""

    name = "amqtt, anonymous"

    def start(self) -> None:
        self.child = Child([sys.executable, str(HERE / "peers" / "amqtt_anonymous.py"), str(free_port())])
        self.port = self.child.facts(30)["port"]


class Mosquitto(Contender):
    """Eclipse Mosquitto, anonymous."""

    name = "mosquitto, anonymous"

    def start(self) -> None:
        program = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
        if program is None:
            raise Unavailable("mosquitto is not installed")
        self.port = free_port()
        settings = scratch() / "mosquitto.conf"
        settings.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\nlog_type error\n")
        self.child = Child([program, "-c", str(settings)])
        self._wait_until_admitting(10)


class RabbitMQ(Contender):
    """RabbitMQ with its OAuth2 plugin; a fresh ES256 token in the password, the key configured statically."""

    name = "RabbitMQ, OAuth2 ES256"

    def connect(self, client_id: str) -> Connect:
        return client_id, client_id, self.issuer.rabbitmq_token(client_id)

    def start(self) -> None:
        program = shutil.which("/usr/lib/rabbitmq/bin/rabbitmq-server") or shutil.which("rabbitmq-server")
        epmd = shutil.which("epmd")
        if program is None or epmd is None:
            raise Unavailable("rabbitmq-server is not installed")
        try:
            self._launch(program, epmd)
        except Unavailable:
            # It wants five ports by number, and another process may have taken one of them meanwhile.
            self.stop()
            self._launch(program, epmd)

    def _launch(self, program: str, epmd: str) -> None:
        home = Path(tempfile.mkdtemp(prefix="rabbitmq-", dir=scratch()))
        (home / "enabled_plugins").write_text("[rabbitmq_mqtt,rabbitmq_auth_backend_oauth2].\n")
        self.port = free_port()
        (home / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{free_port()}\n"
            f"mqtt.listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            "mqtt.allow_anonymous = false\n"
            "auth_backends.1 = rabbit_auth_backend_oauth2\n"
            "auth_oauth2.resource_server_id = rabbitmq\n"
            f"{self._keys(home)}"
            "log.file.level = error\n"
        )
        env = self._environment(home)
        # Our own epmd, in the foreground: the one that Erlang starts by itself would outlive the benchmark.
        self._epmd = Child([epmd, "-port", env["ERL_EPMD_PORT"], "-address", "127.0.0.1"], env=env)
        self.child = Child([program], env=env, cwd=home)
        self._wait_until_admitting(50)

    def _keys(self, home: Path) -> str:
        """The lines of rabbitmq.conf that tell where the issuer's keys are."""
        (home / "key.pem").write_bytes(self.issuer.public_pem)
        return f"auth_oauth2.signing_keys.{self.issuer.key_id} = {home / 'key.pem'}\n"

    def _environment(self, home: Path) -> dict[str, str]:
        return {
            "HOME": str(home),
            "RABBITMQ_HOME_DIR": str(home),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
            "RABBITMQ_LOG_BASE": str(home / "log"),
            "RABBITMQ_NODENAME": f"bench{os.getpid()}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_PORT": str(free_port()),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }

    def stop(self) -> None:
        super().stop()
        if hasattr(self, "_epmd"):
            self._epmd.stop()


PEERS: tuple[type[Contender], ...] = (PlainAmqtt, Mosquitto, RabbitMQ)
