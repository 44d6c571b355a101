"""Mosquitto's clients and MQTT.js, unchanged, over TLS and WebSocket; they refuse a wrong certificate."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support_interop import interop_lab, start
from support_mqttjs import Node, node

from labkit import Lab

TOPIC = "devices/thing/echo"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with interop_lab(tls=True) as running:
        yield running


@pytest.fixture(scope="module")
def js() -> Iterator[Node]:
    with node() as running:
        yield running


def rr(lab: Lab, version: str, *how: str, port: int | None = None) -> tuple[int, str, str]:
    """Publish a message and receive it, with mosquitto_rr."""
    where = ["-p", str(port or lab.mqtts.port), "-V", version, "-i", "thing"]
    fields = ["-u", "thing", "-P", lab.token("thing")]
    message = ["-q", "1", "-t", TOPIC, "-e", TOPIC, "-m", "21.5", "-W", "10"]
    with start("mosquitto_rr", *where, *fields, *message, *how) as running:
        return running.end()


@pytest.mark.parametrize("version", ["311", "5"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_mosquitto_over_tls(lab: Lab, version: str, host: str) -> None:
    assert lab.ca_file is not None
    assert rr(lab, version, "-h", host, "--cafile", lab.ca_file) == (0, "21.5\n", "")


@pytest.mark.parametrize("version", ["311", "5"])
def test_mosquitto_with_a_certificate(lab: Lab, version: str) -> None:
    """A token bound to a certificate, and the connection that has it."""
    lab.register("bound", certificate_bound=True)
    certificate, key = lab.certificate("bound")
    strange, strange_key = lab.certificate("thing")
    where = ["-h", "127.0.0.1", "-p", str(lab.mqtts.port), "-V", version, "-i", "bound", "-u", "bound"]
    message = [
        "-P",
        lab.token("bound"),
        "-q",
        "1",
        "-t",
        "devices/bound/x",
        "-m",
        "1",
        "--cafile",
        lab.ca_file,
    ]
    for files, status in (((certificate, key), 0), ((strange, strange_key), 4), ((), 4)):
        shown = ["--cert", files[0], "--key", files[1]] if files else []
        with start("mosquitto_pub", *where, *map(str, message), *shown) as running:
            assert running.end()[0] == (status if not status or version == "311" else 0x82 + status)


def test_mosquitto_refuses_another_authority(lab: Lab) -> None:
    with Lab(tls=True) as other:
        status, output, errors = rr(lab, "5", "-h", "127.0.0.1", "--cafile", str(other.ca_file))
    assert (status != 0, output) == (True, "")
    assert "certificate" in errors or "TLS" in errors
    lab.record.wait("tls.failed")


@pytest.mark.parametrize("version", [4, 5], ids=["3.1.1", "5"])
@pytest.mark.parametrize("scheme", ["mqtts", "ws", "wss"])
@pytest.mark.parametrize("carrier", ["password", "header"])
def test_mqtt_js(js: Node, lab: Lab, version: int, scheme: str, carrier: str) -> None:
    if (scheme, carrier) == ("mqtts", "header"):
        carrier = "username"
    assert lab.ca_file is not None
    url = {"mqtts": lab.mqtts, "ws": lab.ws, "wss": lab.wss}[scheme].url
    token, more = lab.token("thing"), {"username": "thing"}
    options: dict[str, object] = {"ca": Path(lab.ca_file).read_text()} if scheme != "ws" else {}
    if carrier == "header":
        headers = {"Authorization": f"Bearer {token}"}
        options = {"wsOptions": {"headers": headers} | options}
    else:
        more |= {carrier: token}
        options = options if scheme == "mqtts" else {"wsOptions": options}
    mark = lab.record.mark()
    with js.client(url, "thing", version=version, **more, **options) as client:
        assert "error" not in client.entered, client.entered
        assert lab.record.wait("connect.accepted", client_id="thing", since=mark)["carrier"] == carrier
        client.subscribe(TOPIC, 1)
        assert client.publish(TOPIC, "21.5") == {}
        assert client.receive()["payload"] == "21.5"


def test_mqtt_js_refuses_an_authority_that_it_does_not_know(js: Node, lab: Lab) -> None:
    for url in (lab.mqtts.url, lab.wss.url):
        with js.client(url, "thing", username="thing", password=lab.token("thing")) as client:
            assert "certificate" in client.entered["error"]
