"""The authorization servers of the token section, and how the npm ones get here."""

import abc
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

from bench.children import HERE, Child, Unavailable, python

CLIENT_ID = "bench"
AUDIENCE = "https://mqtt.lab"
SCOPE = f"mqtt.connect mqtt.publish:devices/{CLIENT_ID}/# mqtt.subscribe:devices/{CLIENT_ID}/#"
SECRET = "only for this benchmark, on loopback"


class AuthorizationServer(abc.ABC):
    """A token endpoint under load."""

    name: str
    child: Child
    url: str
    secret = SECRET

    @abc.abstractmethod
    def start(self) -> None:
        """Start it, and return when it answers.

        Raises:
            Unavailable: it cannot run here.
        """

    def stop(self) -> None:
        """End it."""
        if hasattr(self, "child"):
            self.child.stop()


class Labkit(AuthorizationServer):
    """``labkit up`` as a user starts it: the idle broker is in the same process."""

    name = "labkit, ES256"

    def start(self) -> None:
        self.child = labkit_up(CLIENT_ID)
        facts = self.child.facts(30)
        self.url = facts["token_endpoint"]
        self.secret = next(d["client_secret"] for d in facts["devices"] if d["client_id"] == CLIENT_ID)


def labkit_up(*devices: str) -> Child:
    """``labkit up --json`` with these devices."""
    options = [part for device in devices for part in ("--device", device)]
    return python("serve_up.py", "up", "--json", *options)


class NodeServer(AuthorizationServer):
    """One of the npm packages."""

    script: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self) -> None:
        node = shutil.which("node")
        if node is None:
            raise Unavailable("node is not installed")
        wanted = {"client_id": CLIENT_ID, "client_secret": SECRET, "audience": AUDIENCE, "scope": SCOPE}
        command = [node, str(self.folder / self.script), json.dumps(wanted)]
        self.child = Child(command, env={"NODE_ENV": "production"}, cwd=self.folder)
        facts = self.child.facts(30)
        self.url = facts["token_endpoint"]
        self.name = f"{self.name} ({facts['runtime']})"


class OidcProvider(NodeServer):
    """npm oidc-provider."""

    name = "oidc-provider, ES256"
    script = "oidc-provider.mjs"


class OAuth2MockServer(NodeServer):
    """npm oauth2-mock-server."""

    name = "oauth2-mock-server, ES256"
    script = "oauth2-mock-server.mjs"


PEERS: tuple[type[NodeServer], ...] = (OidcProvider, OAuth2MockServer)


def install_node_peers(cache: Path) -> Path:
    """The folder with the npm packages, installed on the first run; npm shows its own progress.

    Raises:
        Unavailable: there is no npm, or it failed.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable("npm is not installed")
    wanted = (HERE / "peers" / "package.json").read_bytes()
    folder = cache / hashlib.sha256(wanted).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    for source in (HERE / "peers").iterdir():
        if source.suffix in {".mjs", ".json"}:
            shutil.copy(source, folder)
    done = folder / "installed"
    if not done.exists():
        print(f"Installing the npm peers into {folder} (once) ...", file=sys.stderr, flush=True)
        command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--progress"]
        try:
            subprocess.run(command, cwd=folder, check=True, stdout=sys.stderr, timeout=300)
        except (subprocess.SubprocessError, OSError) as error:
            raise Unavailable(f"npm install failed: {error}") from None
        done.touch()
    return folder
