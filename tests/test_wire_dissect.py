"""The bytes of a packet, explained."""

from labkit.wire import Connect, Publish, dissect, encode

TOKEN = "eyJhbGciOiJFUzI1NiJ9." + "x" * 60


def _connect(**fields: object) -> bytes:
    return encode(Connect(client_id="dev-1", **fields))  # type: ignore[arg-type]


def test_a_connect_is_named_field_by_field() -> None:
    parts = dissect(_connect(username="dev-1", password=TOKEN.encode(), keep_alive=60))
    meanings = {part.name: part.meaning for part in parts}
    assert meanings["protocol level"] == "4 = MQTT 3.1.1"
    assert meanings["connect flags"] == "11000010: user name, password, clean session"
    assert meanings["keep alive"] == "60 s"
    assert meanings["client identifier"] == "“dev-1”"
    assert meanings["user name"] == "“dev-1”"
    assert meanings["password"] == "“eyJhbGci…” (81 bytes)"


def test_the_ranges_point_into_the_packet() -> None:
    data = _connect(username=TOKEN)
    [part] = [part for part in dissect(data) if part.name == "user name"]
    assert data[part.start : part.end] == TOKEN.encode()


def test_a_token_shows_only_when_asked_for() -> None:
    for data in (_connect(username=TOKEN), _connect(username="label", password=TOKEN.encode())):
        assert TOKEN not in str(dissect(data))
        assert TOKEN[:20].encode().hex(" ") not in repr(dissect(data))
        assert TOKEN in str(dissect(data, secrets=True))


def test_a_password_and_a_long_user_name_are_cut_also_without_jwt() -> None:
    opaque = "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4"
    shown = str(dissect(_connect(username=opaque, password=b"hunter2")))
    assert opaque[:4] not in shown
    assert "hunter" not in shown


def test_the_table_of_a_publish() -> None:
    data = encode(Publish(topic="a/b", payload=b"22.5", qos=1, packet_id=7))
    assert str(dissect(data)).splitlines() == [
        "bytes  hex          field                  meaning",
        "    0  32           packet type and flags  PUBLISH, QoS 1",
        "    1  0b           remaining length       11 bytes follow",
        "  2-3  00 03        topic name length      3 bytes follow",
        "  4-6  61 2f 62     topic name             “a/b”",
        "  7-8  00 07        packet identifier      7",
        " 9-12  32 32 2e 35  payload                “22.5”",
    ]


def test_the_broken_field_is_marked_and_the_rest_not_read() -> None:
    data = b"\x82\x0c\x00\x01\x00\x01t\x07\x00\x01u\x00\x01\x02"
    parts = dissect(data)
    assert [(part.name, part.valid) for part in parts][-2:] == [("requested QoS", False), ("not read", True)]
    assert "✗ requested QoS" in str(parts)
    assert "§3.8.3.1" in str(parts)


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert "\x1b" not in str(dissect(encode(Publish(topic="a\x1b[31m", payload=b"\x1b[2J"))))
