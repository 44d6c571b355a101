"""A stream of bytes is cut where the packets say, and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.errors import MalformedPacket
from labkit.wire import Framer, frame, remaining_length

# §2.2.3, table 2.4: the ends of each length.
LENGTHS = {
    0: b"\x00",
    127: b"\x7f",
    128: b"\x80\x01",
    16_383: b"\xff\x7f",
    16_384: b"\x80\x80\x01",
    2_097_151: b"\xff\xff\x7f",
    2_097_152: b"\x80\x80\x80\x01",
    268_435_455: b"\xff\xff\xff\x7f",
}


@pytest.mark.parametrize(("value", "coded"), LENGTHS.items())
def test_remaining_length_of_the_standards_table(value: int, coded: bytes) -> None:
    assert remaining_length(b"\x30" + coded + b"rest", 1) == (value, 1 + len(coded))


@pytest.mark.parametrize("coded", list(LENGTHS.values()))
def test_an_unfinished_length_waits_for_more(coded: bytes) -> None:
    assert remaining_length(coded[:-1], 0) is None


@pytest.mark.parametrize(
    "coded", [b"\x80\x00", b"\xff\x80\x00", b"\x80\x80\x80\x80", b"\xff\xff\xff\xff\x01"]
)
def test_a_length_in_needless_or_too_many_bytes_is_malformed(coded: bytes) -> None:
    with pytest.raises(MalformedPacket):
        remaining_length(coded + b"\0\0", 0)


@given(
    bodies=st.lists(st.binary(max_size=300), max_size=8),
    cuts=st.lists(st.integers(1, 50), min_size=1, max_size=20),
)
def test_packets_come_out_whole_however_the_stream_is_cut(bodies: list[bytes], cuts: list[int]) -> None:
    packets = [frame(0x30, body) for body in bodies]
    stream, framer, found, turn = b"".join(packets), Framer(1000), [], 0
    while stream:
        size = cuts[turn % len(cuts)]
        framer.feed(stream[:size])
        stream, turn = stream[size:], turn + 1
        while (packet := framer.next_packet()) is not None:
            found.append(packet)
    assert found == packets
    assert framer.buffered == 0
    assert framer.first_byte is None


def test_a_packet_above_the_limit_is_refused_from_its_header_alone() -> None:
    framer = Framer(100)
    framer.feed(frame(0x30, b"x" * 98))
    assert framer.next_packet() is not None
    framer.feed(frame(0x30, b"x" * 99)[:2])
    with pytest.raises(MalformedPacket, match="100 bytes"):
        framer.next_packet()
