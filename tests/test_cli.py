"""The command line, run as a person or a program would run it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from support_cli import UP, ended, labkit_up, needs, run_labkit
from support_paho import inside
from support_tokens import tampered


def _token(facts: dict[str, Any], number: int = 0) -> str:
    device = facts["devices"][number]
    answer = httpx.post(
        facts["token_endpoint"],
        auth=(device["client_id"], device["client_secret"]),
        data={"grant_type": "client_credentials"},
        trust_env=False,
    )
    return str(answer.json()["access_token"])


def _mosquitto_pub(facts: dict[str, Any], client_id: str, user: str, password: str | None, topic: str) -> int:
    command = [needs("mosquitto_pub"), "-h", facts["mqtt"]["host"], "-p", str(facts["mqtt"]["port"])]
    command += ["-i", client_id, "-q", "1", "-t", topic, "-m", "21.5", "-u", user]
    if password is not None:
        command += ["-P", password]
    return subprocess.run(command, capture_output=True, timeout=20).returncode


def test_up_prints_one_line_of_json_with_everything_a_program_needs() -> None:
    with labkit_up("--device", "pump-1") as (facts, _):
        assert facts["audience"] == "https://mqtt.lab"
        for name in ("issuer", "token_endpoint", "introspection_endpoint", "revocation_endpoint", "jwks_uri"):
            assert facts[name].startswith("http://127.0.0.1:")
        assert facts["mqtt"]["port"] > 0
        assert facts["ws"]["url"].startswith("ws://127.0.0.1:")
        for name in ("mqtts", "wss", "ca_file"):
            assert facts[name] is None
        assert facts["devices"][0]["client_id"] == "pump-1"
        assert len(facts["devices"]) >= 2
        for device in facts["devices"]:
            assert device["publish"] == device["subscribe"] == [f"devices/{device['client_id']}/#"]
        caller = facts["resource_server"]
        answer = httpx.post(
            facts["introspection_endpoint"],
            auth=(caller["client_id"], caller["client_secret"]),
            data={"token": _token(facts)},
            trust_env=False,
        )
        assert answer.json()["active"] is True


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_up_ends_at_once_on_a_signal(name: str) -> None:
    with labkit_up() as (_, server):
        assert ended(server, name) == (0, "", "")


def test_up_serves_curl_and_mosquitto() -> None:
    with labkit_up() as (facts, _):
        first, second = facts["devices"][:2]
        curl = [needs("curl"), "-s", "-u", f"{first['client_id']}:{first['client_secret']}"]
        curl += ["-d", "grant_type=client_credentials", "--noproxy", "*", facts["token_endpoint"]]
        answer = json.loads(
            subprocess.run(curl, capture_output=True, text=True, timeout=20, check=True).stdout
        )
        token, name = answer["access_token"], first["client_id"]
        topic = f"devices/{name}/temperature"
        assert answer["token_type"] == "Bearer"
        assert _mosquitto_pub(facts, name, name, token, topic) == 0, "token as password"
        assert _mosquitto_pub(facts, name, token, None, topic) == 0, "token as user name"
        assert _mosquitto_pub(facts, second["client_id"], name, token, topic) == 5, "token of another device"
        assert _mosquitto_pub(facts, name, name, tampered(token), topic) == 4, "tampered token"


def test_devices_of_up_can_hear_each_other() -> None:
    with labkit_up("--subscribe", "devices/#", "--publish", "all/#") as (facts, _):
        names = [device["client_id"] for device in facts["devices"]]
        for device, name in zip(facts["devices"], names, strict=True):
            assert device["publish"] == [f"devices/{name}/#", "all/#"]
            assert device["subscribe"] == [f"devices/{name}/#", "devices/#"]
        url = f"mqtt://{facts['mqtt']['host']}:{facts['mqtt']['port']}"
        with inside(url, names[1], 4, "password", _token(facts, 1)) as reader:
            assert reader.answers.get(timeout=10) == 0
            reader.paho.subscribe(f"devices/{names[0]}/#", 1)
            assert reader.answers.get(timeout=10) == 1
            assert _mosquitto_pub(facts, names[0], "x", _token(facts), f"devices/{names[0]}/t") == 0
            assert reader.messages.get(timeout=10) == b"21.5"


@pytest.mark.parametrize("options", [("introspection", "opaque"), ("both", "jwt")])
def test_up_validates_as_it_is_told(options: tuple[str, str]) -> None:
    mode, token_format = options
    with labkit_up("--validation", mode, "--token-format", token_format) as (facts, _):
        token, name = _token(facts), facts["devices"][0]["client_id"]
        assert (token.count(".") == 2) is (token_format == "jwt")
        server = (facts["resource_server"]["client_id"], facts["resource_server"]["client_secret"])
        topic = f"devices/{name}/temperature"
        assert _mosquitto_pub(facts, name, name, token, topic) == 0
        device = (name, facts["devices"][0]["client_secret"])
        for url, who in ((facts["revocation_endpoint"], device), (facts["introspection_endpoint"], server)):
            answer = httpx.post(url, auth=who, data={"token": token}, trust_env=False)
        assert answer.json() == {"active": False}
        assert _mosquitto_pub(facts, name, name, token, topic) == 4


def test_a_wrong_secret_is_invalid_client() -> None:
    with labkit_up() as (facts, _):
        answer = httpx.post(
            facts["token_endpoint"],
            auth=(facts["devices"][0]["client_id"], "wrong"),
            data={"grant_type": "client_credentials"},
            trust_env=False,
        )
        assert answer.status_code == 401
        assert answer.json()["error"] == "invalid_client"


def test_a_live_connection_ends_when_its_token_does() -> None:
    with labkit_up("--token-lifetime", "2") as (facts, _):
        device = facts["devices"][0]["client_id"]
        command = [needs("mosquitto_sub"), "-h", facts["mqtt"]["host"], "-p", str(facts["mqtt"]["port"])]
        command += ["-i", device, "-u", device, "-P", _token(facts), "-t", f"devices/{device}/#", "-d"]
        client = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            assert client.stdout is not None
            seen = []
            for line in client.stdout:  # mosquitto_sub tries again by itself; its second CONNECT is refused
                seen.append(line)
                if "CONNACK (4)" in line or "CONNACK (5)" in line or "not authori" in line.lower():
                    break
            assert any("CONNACK (0)" in line for line in seen)
            assert "4" in seen[-1] or "bad user name" in seen[-1].lower()
        finally:
            client.kill()
            client.communicate()


def test_up_tells_a_person_what_to_paste() -> None:
    server = subprocess.Popen(UP, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8")
    try:
        assert server.stdout is not None
        shown = ""
        while "answer.json()" not in shown:
            line = server.stdout.readline()
            assert line, shown
            shown += line
    finally:
        server.kill()
        server.communicate()
    for word in ("curl -s -u", "mosquitto_pub", "paho.mqtt", "thermostat-1", "Ctrl-C"):
        assert word in shown


def test_demo_tells_the_story_and_succeeds() -> None:
    shown = run_labkit("demo")
    assert shown.returncode == 0, shown.stderr
    for word in ("1. ", "6. ", "CONNACK 5", "CONNACK 4", "refreshed its token"):
        assert word in shown.stdout
    assert "eyJ" not in shown.stdout


def test_inspect_decodes_and_explains_offline(tmp_path: Path) -> None:
    with labkit_up() as (facts, _):
        token = _token(facts)
        keys = tmp_path / "keys.json"
        keys.write_bytes(httpx.get(facts["jwks_uri"], trust_env=False).content)
    name = facts["devices"][0]["client_id"]
    shown = run_labkit("inspect", "-", input=token)
    assert shown.returncode == 0
    assert '"alg": "ES256"' in shown.stdout
    assert "expires in" in shown.stdout
    checked = ["--jwks", str(keys), "--issuer", facts["issuer"], "--audience", facts["audience"]]
    assert run_labkit("inspect", token, *checked, "--client-id", name).returncode == 0
    assert run_labkit("inspect", token, *checked, "--client-id", "somebody-else").returncode == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["up", "--token-lifetme", "3"], "No such option"),
        (["up", "--token-lifetime", "0"], "Invalid value for '--token-lifetime'"),
        (["up", "--device", "a/b"], "a/b"),
        (["up", "--subscribe", "devices/#/x"], "devices/#/x"),
        (["up", "--mqtts-port", "8883"], "without tls"),
        (["up", "--wss-port", "8884"], "without tls"),
        (["up", "--validation", "guess"], "Invalid value for '--validation'"),
        (["up", "--token-format", "opaque"], "validation='introspection'"),
        (["inspect", "not-a-token"], "no JWT"),
        (["inspect", "-"], "no JWT"),
        (["dmo"], "No such command"),
        (["wheelhouse"], "Missing argument 'DIR'"),
        (["wheelhouse", "unused", "--platform", "amiga"], "choose windows"),
        (["wheelhouse", __file__], "cannot write to"),
        (["pages", __file__], "cannot write to"),
    ],
)
def test_a_mistake_gets_a_sentence_not_a_traceback(arguments: list[str], sentence: str) -> None:
    shown = run_labkit(*arguments, input="")
    assert shown.returncode != 0
    assert sentence in shown.stderr
    assert "Traceback" not in shown.stderr


@pytest.mark.parametrize("option", ["--auth-port", "--mqtt-port", "--ws-port", "--mqtts-port", "--wss-port"])
def test_a_port_in_use_gets_a_sentence(option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        shown = run_labkit("up", "--tls", option, str(taken.getsockname()[1]))
    assert shown.returncode == 1
    assert "choose another port" in shown.stderr


def test_open_copies_lessons_but_never_overwrites(tmp_path: Path) -> None:
    from labkit.cli.opening import place_lessons

    place_lessons(tmp_path / "work")
    first = tmp_path / "work" / "00-start-here.ipynb"
    assert first.is_file()
    first.write_text("my own work")
    place_lessons(tmp_path / "work")
    assert first.read_text() == "my own work"


@pytest.mark.skipif(os.name != "posix", reason="sends Ctrl-C to a process group")
def test_open_starts_jupyterlab_on_the_first_notebook_and_one_ctrl_c_ends_it(tmp_path: Path) -> None:
    environment = os.environ | {"JUPYTER_RUNTIME_DIR": str(tmp_path), "JUPYTER_CONFIG_DIR": str(tmp_path)}
    server = subprocess.Popen(
        [sys.executable, "-m", "labkit", "open", "--no-browser", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=environment,
    )
    try:
        assert server.stdout is not None
        seen = []
        for line in server.stdout:
            seen.append(line)
            if "http://127.0.0.1:" in line and "00-start-here.ipynb" in line:
                break
        else:
            pytest.fail("".join(seen))
        os.killpg(server.pid, signal.SIGINT)
        server.communicate(timeout=30)
        assert server.returncode is not None
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGKILL)
            server.communicate()


def test_the_command_is_installed() -> None:
    command = shutil.which("labkit", path=str(Path(sys.executable).parent))
    if command is None:
        pytest.skip("labkit is imported from the clone, not installed")
    shown = subprocess.run([command, "--version"], capture_output=True, text=True, timeout=60)
    assert shown.stdout.strip() == __import__("labkit").__version__
