"""A no, written down."""

from labkit.broker.admission import AnyConnect
from labkit.broker.connection import Connection
from labkit.broker.reasons import Refused
from labkit.record import Fact, Record

__all__ = ["note"]


def note(record: Record, connection: Connection, refused: Refused, connect: AnyConnect | None = None) -> None:
    """Who was refused, and why; without ``connect``, nobody knows who."""
    facts: dict[str, Fact] = {"reason": refused.reason, "return_code": connection.dialect.code(refused)}
    if connect is not None:
        # The client identifier is the caller's own text: the record cuts and escapes it.
        facts = {"client_id": connect.client_id[:128], **facts, "carrier": refused.carrier}
    record.add("broker", "connect.refused", **facts)
