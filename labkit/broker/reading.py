"""The first packet: a CONNECT, and with it the version that everything after it is read in."""

from collections.abc import Callable
from dataclasses import replace
from typing import cast

from labkit.broker.admission import AnyConnect
from labkit.broker.connection import Connection
from labkit.broker.dialect5 import Dialect5
from labkit.broker.methods import METHODS
from labkit.errors import MalformedPacket
from labkit.wire import Connect, parse, v5
from labkit.wire.parse import protocol_level
from labkit.wire.v5 import Property

__all__ = ["read_connect"]

_CONNECT = 0x10  # its first byte: type 1, flags 0


def read_connect(connection: Connection, now: Callable[[], float]) -> AnyConnect | None:
    """The CONNECT, or ``None`` when bytes are still to come; sets the dialect of the connection.

    Of an unknown version nothing but the level is read.  The versions after 5 are answered in 5.

    Raises:
        MalformedPacket: it is none; or too long; or the client takes no packet that is long enough to answer
            it.
    """
    if connection.framer.first_byte != _CONNECT:
        raise MalformedPacket("the first packet is not CONNECT", spec="MQTT 3.1.1 §3.1")
    try:
        raw = connection.framer.next_packet()
    except MalformedPacket:  # too long: its version may be known all the same
        if (protocol_level(connection.framer.take_all()) or 0) >= 5:
            connection.dialect = Dialect5({}, now)
        raise
    if raw is None:
        return None
    level = protocol_level(raw) or 0
    if level >= 5:
        connection.framer.version = 5
        connection.dialect = Dialect5({}, now)
    if level == 5:
        connect = v5.parse(raw)
        assert isinstance(connect, v5.Connect)
        dialect = connection.dialect = Dialect5(connect.properties, now)
        method = connect.properties.get(Property.AUTHENTICATION_METHOD)
        if method in METHODS:
            dialect.authentication_method = cast("str", method)
        longest = connection.gate.limits.max_keep_alive
        if longest and not 0 < connect.keep_alive <= longest:  # §3.2.2.3.14
            dialect.server_keep_alive = longest
            connect = replace(connect, keep_alive=longest)
        # A CONNACK cut short would hide our limits; one left out, that the client is in (§3.1.2.11.4).
        if not dialect.takes(dialect.connack(False, connection.gate.limits)):
            raise MalformedPacket("no room for CONNACK", spec="MQTT 5 §3.1.2.11.4", reason_code=0x95)
        return connect
    older = parse(raw)
    assert isinstance(older, Connect)
    return older
