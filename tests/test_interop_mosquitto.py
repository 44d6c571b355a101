"""Mosquitto's command-line clients, unchanged, against the lab in both versions of MQTT."""

from collections.abc import Iterator

import pytest
from support_interop import Running, interop_lab, start
from support_tokens import tampered

from labkit import Lab

VERSIONS = ("311", "5")
#: What a refusal looks like: exit status and words in 3.1.1, and in 5.
REFUSED = {
    "311": {4: (4, "bad user name or password"), 5: (5, "not authorised")},
    "5": {4: (134, "Bad User Name or Password"), 5: (135, "Not authorized")},
}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with interop_lab() as running:
        yield running


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Client:
    """How one of the programs is called for one device."""

    def __init__(self, lab: Lab, version: str, client_id: str) -> None:
        self._where = ["-h", lab.mqtt.host, "-p", str(lab.mqtt.port), "-V", version, "-i", client_id]
        self.token = lab.token(client_id)
        self.fields = ["-u", client_id, "-P", self.token]

    def start(self, program: str, *arguments: str) -> Running:
        return start(f"mosquitto_{program}", *self._where, *self.fields, *arguments)

    def run(self, program: str, *arguments: str) -> tuple[int, str, str]:
        with self.start(program, *arguments) as running:
            return running.end()


@pytest.fixture
def thing(lab: Lab, version: str) -> Client:
    return Client(lab, version, "thing")


@pytest.mark.parametrize("carrier", ["password", "user name"])
@pytest.mark.parametrize("qos", "012")
def test_a_message_comes_back(lab: Lab, thing: Client, carrier: str, qos: str) -> None:
    if carrier == "user name":
        thing.fields = ["-u", thing.token]
    topic = "devices/thing/echo"
    mark = lab.record.mark()
    status, output, errors = thing.run(
        "rr", "-q", qos, "-t", topic, "-e", topic, "-m", "21.5 °C", "-F", "%t %q %p", "-W", "10"
    )
    assert (status, output, errors) == (0, f"{topic} {qos} 21.5 °C\n", "")
    accepted = lab.record.wait("connect.accepted", client_id="thing", since=mark)
    assert accepted["carrier"] == carrier.replace(" ", "")


def test_one_publishes_and_another_reads(lab: Lab, version: str, thing: Client) -> None:
    mark = lab.record.mark()
    with Client(lab, version, "reader").start(
        "sub", "-t", "devices/+/twice", "-q", "2", "-C", "3", "-F", "%q %p"
    ) as reader:
        lab.record.wait("subscribe.accepted", client_id="reader", since=mark)
        for qos in "012":
            assert thing.run("pub", "-q", qos, "-t", "devices/thing/twice", "-m", qos)[0] == 0
        assert reader.end() == (0, "0 0\n1 1\n2 2\n", "")


def test_what_is_retained_waits_for_its_reader(lab: Lab, version: str, thing: Client) -> None:
    topic = "devices/thing/kept"
    reader = Client(lab, version, "reader")
    assert thing.run("pub", "-r", "-q", "1", "-t", topic, "-m", "still here")[0] == 0
    found = reader.run("sub", "-t", topic, "-C", "1", "-W", "10", "-F", "%r %p")
    assert found == (0, "1 still here\n", "")
    assert thing.run("pub", "-r", "-q", "1", "-t", topic, "-n")[0] == 0
    found = reader.run("sub", "-t", topic, "-t", topic + "/not", "-E", "-F", "%r %p")
    assert found == (0, "", "")


def test_a_session_keeps_what_came_meanwhile(lab: Lab, version: str, thing: Client) -> None:
    reader = Client(lab, version, "reader")
    keep = ["-c", *(["-x", "60"] if version == "5" else [])]
    topic = "devices/thing/meanwhile"
    assert reader.run("sub", *keep, "-q", "1", "-t", topic, "-E")[0] == 0
    assert thing.run("pub", "-q", "1", "-t", topic, "-m", "while you were out")[0] == 0
    again = reader.run("sub", *keep, "-q", "1", "-t", topic, "-C", "1", "-W", "10")
    assert again == (0, "while you were out\n", "")
    assert reader.run("sub", "-t", topic, "-E")[0] == 0  # a clean one ends it


def test_a_killed_client_leaves_its_will(lab: Lab, version: str, thing: Client) -> None:
    topic = "devices/thing/state"
    mark = lab.record.mark()
    with Client(lab, version, "reader").start("sub", "-t", topic, "-C", "1", "-F", "%q %p") as reader:
        lab.record.wait("subscribe.accepted", client_id="reader", since=mark)
        will = ["--will-topic", topic, "--will-payload", "gone", "--will-qos", "1"]
        with thing.start("sub", "-t", "devices/thing/cmd", *will) as dying:
            lab.record.wait("subscribe.accepted", client_id="thing", since=mark)
            dying.kill()
        assert reader.end() == (0, "0 gone\n", "")


@pytest.mark.parametrize("kind", ["another device's", "tampered", "none", "two", "will"])
def test_a_refusal_is_told(lab: Lab, version: str, thing: Client, kind: str) -> None:
    code, more = 4, []
    match kind:
        case "another device's":
            code, thing.fields = 5, ["-u", "thing", "-P", lab.token("other")]
        case "tampered":
            thing.fields = ["-u", "thing", "-P", tampered(thing.token)]
        case "none":
            thing.fields = []
        case "two":
            thing.fields = ["-u", thing.token, "-P", thing.token]
        case "will":
            code, more = 5, ["--will-topic", "devices/other/state", "--will-payload", "gone"]
    status, _, errors = thing.run("pub", "-q", "1", "-t", "devices/thing/x", "-m", "x", *more)
    expected, words = REFUSED[version][code]
    assert status == expected
    assert words in errors


def test_a_subscription_that_the_token_does_not_allow(version: str, thing: Client) -> None:
    status, output, errors = thing.run("sub", "-d", "-W", "10", "-t", "devices/other/x")
    assert status == 0  # it has been served; what it was told is in the output
    assert f"Subscribed (mid: 1): {'135' if version == '5' else '128'}" in output
    assert "All subscription requests were denied" in errors


def test_a_publish_that_the_token_does_not_allow(version: str, thing: Client) -> None:
    status, _, errors = thing.run("pub", "-q", "1", "-t", "devices/other/x", "-m", "x")
    assert status == 0
    assert ("Publish 1 failed: Not authorized" in errors) is (version == "5")


def test_the_version_before_3_1_1_is_refused(lab: Lab) -> None:
    status, _, errors = Client(lab, "31", "thing").run("pub", "-t", "devices/thing/x", "-m", "x")
    assert status == 1
    assert "unacceptable protocol version" in errors


def test_the_properties_of_a_message_arrive(lab: Lab) -> None:
    """MQTT 5: ``mosquitto_rr`` takes an answer for its own by the correlation data."""
    thing, topic = Client(lab, "5", "thing"), "devices/thing/ask"
    properties = ["correlation-data 17", "content-type text/plain", "user-property unit °C"]
    given = [word for each in properties for word in ("-D", "publish", *each.split())]
    shown = thing.run("rr", "-t", topic, "-e", topic, "-m", "?", *given, "-W", "10", "-F", "%C|%D|%P|%R|%p")
    assert shown == (0, f"text/plain|17|unit:°C|{topic}|?\n", "")


def test_a_token_in_the_authentication_data(lab: Lab) -> None:
    """MQTT 5 enhanced authentication, as far as these programs can: a method with one message."""
    thing = Client(lab, "5", "thing")
    named = ["-D", "connect", "authentication-method"]
    data = ["-D", "connect", "authentication-data"]
    publish = ["-q", "1", "-t", "devices/thing/x", "-m", "x"]
    token, thing.fields = thing.token, []
    assert thing.run("pub", *named, "OAUTH2-JWT", *data, token, *publish) == (0, "", "")
    assert thing.run("pub", *named, "OAUTH2-JWT", *data, tampered(token), *publish)[0] == 0x87
    assert thing.run("pub", *named, "SCRAM-SHA-256", *data, token, *publish)[0] == 0x8C
