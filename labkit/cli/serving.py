"""``labkit up``: both servers, until Ctrl-C or SIGTERM."""

import json
import signal
import threading
from typing import Any

import typer

from labkit.authserver import Credentials
from labkit.lab import Lab
from labkit.rights import DEFAULT
from labkit.service import Endpoint

__all__ = ["facts", "serve"]

_AT_LEAST = ("thermostat-1", "thermostat-2")


def serve(
    *, as_json: bool, devices: list[str], publish: list[str], subscribe: list[str], **options: Any
) -> None:
    """Start, say what runs where, and serve until a signal comes.

    Every device may use its own topics, and those of ``publish`` and ``subscribe``.  ``options`` are those of
    :class:`Lab`.
    """
    ended = threading.Event()
    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):  # the last one is Windows' Ctrl-Break
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: ended.set())
    names = list(dict.fromkeys(devices))
    names += [name for name in _AT_LEAST if name not in names][: max(0, 2 - len(names))]
    with Lab(**options) as lab:
        registered = [
            lab.register(name, publish=[*DEFAULT, *publish], subscribe=[*DEFAULT, *subscribe])
            for name in names
        ]
        if as_json:
            typer.echo(json.dumps(facts(lab, registered)))
        else:
            typer.echo(_for_people(lab, registered[0], registered))
        while not ended.wait(0.5):  # Windows delivers a signal only between two waits
            pass


def facts(lab: Lab, devices: list[Credentials]) -> dict[str, Any]:
    """What a program needs to use the running lab.  It holds secrets: print it only where that is wanted."""

    def listener(endpoint: Endpoint | None) -> dict[str, Any] | None:
        return None if endpoint is None else {"host": endpoint.host, "port": endpoint.port}

    return {
        "issuer": lab.issuer,
        "audience": lab.audience,
        "token_endpoint": lab.token_endpoint,
        "introspection_endpoint": lab.introspection_endpoint,
        "revocation_endpoint": lab.revocation_endpoint,
        "jwks_uri": lab.jwks_uri,
        "mqtt": listener(lab.mqtt),
        "mqtts": listener(lab.mqtts),
        "ws": {"url": lab.ws.url},
        "wss": None if lab.wss is None else {"url": lab.wss.url},
        "ca_file": lab.ca_file,
        "devices": [
            {
                "client_id": device.client_id,
                "client_secret": device.client_secret,
                "publish": list(device.publish),
                "subscribe": list(device.subscribe),
            }
            for device in devices
        ],
        "resource_server": {
            "client_id": lab.resource_server.client_id,
            "client_secret": lab.resource_server.client_secret,
        },
    }


def _for_people(lab: Lab, device: Credentials, devices: list[Credentials]) -> str:
    rows = "\n".join(f"  {d.client_id:<16} secret {d.client_secret}" for d in devices)
    topic = f"devices/{device.client_id}/temperature"
    broker = lab.mqtts or lab.mqtt
    where = {
        "issuer": lab.issuer,
        "token endpoint": lab.token_endpoint,
        "keys": lab.jwks_uri,
        "broker": broker.url,
        "by WebSocket": (lab.wss or lab.ws).url,
        "audience": lab.audience,
    }
    curl = cafile = verify = tls = ""
    if lab.ca_file is not None:
        where |= {"in plain": f"{lab.mqtt.url} and {lab.ws.url}", "trust": lab.ca_file}
        curl, cafile = f" --cacert '{lab.ca_file}'", f" --cafile '{lab.ca_file}'"
        verify = f"verify=ssl.create_default_context(cafile={lab.ca_file!r}),\n                      "
        tls = f",\n                 tls={{'ca_certs': {lab.ca_file!r}}}"
    facts = "\n".join(f"  {name:<14}  {value}" for name, value in where.items())
    return f"""\
The lab is up.  Press Ctrl-C to end it.

{facts}

Devices
{rows}

Get a token:

  curl -s{curl} -u '{device.client_id}:{device.client_secret}' -d grant_type=client_credentials \
{lab.token_endpoint}

Publish with it (put the token where TOKEN stands):

  mosquitto_pub{cafile} -h {broker.host} -p {broker.port} -i {device.client_id} -u {device.client_id} \
-P "$TOKEN" -q 1 -t {topic} -m 21.5

The same with Python:

  import {"ssl, " if tls else ""}httpx, paho.mqtt.publish as publish
  answer = httpx.post("{lab.token_endpoint}", auth=("{device.client_id}", "{device.client_secret}"),
                      {verify}data={{"grant_type": "client_credentials"}})
  publish.single("{topic}", "21.5", qos=1, hostname="{broker.host}", port={broker.port},
                 client_id="{device.client_id}",
                 auth={{"username": "{device.client_id}", "password": answer.json()["access_token"]}}{tls})
"""
