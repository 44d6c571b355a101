"""What a hostile reader of the standard found in the gate of MQTT 5; each was wrong once."""

from typing import Any

import pytest
from support_broker import Site
from support_broker5 import Client5, client5
from test_enhanced import DATA, METHODS, NAME, auth, first, proof

from labkit.wire import v5
from labkit.wire.v5 import Property

P = Property
TOPIC = "devices/dev-1/t"


def login(place: Site, method: str, properties: dict[Property, Any] | None = None) -> v5.Connect:
    fields: dict[Property, Any] = {NAME: method, DATA: first(place, method)}
    return v5.Connect(client_id="dev-1", properties=fields | (properties or {}))


def test_a_narrower_scope_also_holds_for_what_is_sent_again(place: Site) -> None:
    keep = {P.SESSION_EXPIRY_INTERVAL: 300}
    method = {NAME: "OAUTH2-JWT", DATA: place.token().encode()}
    with client5(place) as client:
        client.say(v5.Connect(client_id="dev-1", properties=keep | method))
        client.expect(v5.Connack)
        client.ask("devices/dev-1/#")
        with place.connect("dev-2", publish=("devices/#",)) as other:
            for n in range(3):
                other.publish(TOPIC, b"%d" % n)
        for _ in range(3):
            client.expect(v5.Publish)
    place.record.wait("connection.closed", client_id="dev-1")
    with client5(place) as client:
        method |= {P.RECEIVE_MAXIMUM: 1}
        client.say(v5.Connect(client_id="dev-1", clean_start=False, properties=keep | method))
        assert client.expect(v5.Connack).session_present
        again = client.expect(v5.Publish)
        assert (again.payload, again.dup) == (b"0", True)
        client.say(auth("OAUTH2-JWT", 0x19, place.token(subscribe=()).encode()))
        assert client.expect(v5.Auth).reason_code == 0
        client.say(v5.Puback(packet_id=again.packet_id))
        client.say(v5.Pingreq())
        assert client.receive() == v5.Pingresp()


@pytest.mark.parametrize("method", ["", *METHODS])
def test_a_client_that_takes_no_whole_connack_is_not_let_in(place: Site, method: str) -> None:
    """Spec: MQTT 5 §3.1.2.11.4.  The code is told where it fits, and nothing where it does not."""
    whole = 15 + (3 + len(method) if method else 0)
    for size in range(1, whole):
        with client5(place) as client:
            properties: dict[Property, Any] = {P.MAXIMUM_PACKET_SIZE: size}
            packet = v5.Connect(client_id="dev-1", password=place.token().encode(), properties=properties)
            client.say(login(place, method, properties) if method else packet)
            answer = client.receive()
            assert answer is None if size < 5 else answer.reason_code == 0x95
            assert answer is None or client.ended()
    assert not place.broker.connections


def test_a_challenge_that_the_client_does_not_take(place: Site) -> None:
    with client5(place) as client:
        client.say(login(place, "OAUTH2-POP", {P.MAXIMUM_PACKET_SIZE: 40}))
        assert client.expect(v5.Connack).reason_code == 0x95
        assert client.ended()
    with client5(place) as client:  # the words before the refusal are left out
        properties = {NAME: "OAUTHBEARER", DATA: b"n,,\x01auth=Bearer x\x01\x01", P.MAXIMUM_PACKET_SIZE: 40}
        client.say(v5.Connect(client_id="dev-1", properties=properties))
        assert client.expect(v5.Connack).reason_code == 0x87
        assert client.ended()


def refused_by_words(place: Site, client: Client5, *behind: v5.Packet) -> Any:
    properties = {NAME: "OAUTHBEARER", DATA: b"n,,\x01auth=Bearer x\x01\x01"}
    client.say(v5.Connect(client_id="dev-1", properties=properties), *behind)
    return client.expect(v5.Auth)


def test_an_answer_that_came_too_early_is_read(place: Site) -> None:
    """AUTH, or anything else, in one write with the CONNECT that it answers."""
    with client5(place) as client:
        assert refused_by_words(place, client, auth("OAUTHBEARER", 0x18, b"\x01")).reason_code == 0x18
        assert client.expect(v5.Connack).reason_code == 0x87
        assert client.ended()
    with client5(place) as client:
        refused_by_words(place, client, v5.Disconnect())
        assert client.ended()
    for behind, code in ((v5.Pingreq(), 0x82), (auth("OAUTH2-POP", 0x18, b"no proof"), 0x87)):
        with client5(place) as client:
            client.say(login(place, "OAUTH2-POP"), behind)
            assert client.expect(v5.Auth).reason_code == 0x18
            assert client.expect(v5.Connack).reason_code == code
            assert client.ended()


def test_a_challenge_still_works(place: Site) -> None:
    with client5(place) as client:
        connect = login(place, "OAUTH2-POP")
        client.say(connect)
        nonce = client.expect(v5.Auth).properties[DATA]
        shown: Any = connect.properties[DATA]
        client.say(auth("OAUTH2-POP", 0x18, proof(nonce, shown)))
        assert client.expect(v5.Connack).reason_code == 0
