"""How much one client, or all of them together, may take."""

from dataclasses import dataclass

from labkit.service import descriptors

__all__ = ["Limits", "descriptors"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds that the gate keeps; every one exists because somebody can push against it.

    Attributes:
        max_connections: admitted connections; one more is answered with return code 3.
        max_pending: sockets that have not been admitted; one more pushes out the oldest, so that silent
            sockets cannot lock anybody out.  At most a quarter of what the process may have open.  The same
            for TLS handshakes at each listener.
        max_deciding: CONNECTs that wait for a key or for introspection; one more gets return code 3.
            Re-authentications of those who are in wait besides, one for each.
        connect_timeout: seconds from TCP connect, or from the end of TLS's handshake, to a decision; and for
            that handshake.
        max_keep_alive: seconds of the longest keep alive of MQTT 5; who wants a longer one or none is told
            to keep to this one (MQTT 5 §3.2.2.3.14).  0: any, and none, are fine.
        packet_timeout: seconds in which a packet that has begun must end, and a client must read on.
        max_packet: bytes of the longest packet, its fixed header included.
        max_inflight: messages of QoS 1 and 2 on the way to one client at a time.
        max_queued: messages that wait for one client behind those, or while it is away; the next are dropped.
            Retained messages for a new subscription do not count.
        max_queued_bytes: the same in bytes of payload and topic.
        max_subscriptions: topic filters of one session; one more is answered with 0x80.
        max_retained: retained messages altogether; another topic is published, but not retained.
        max_retained_bytes: the same in bytes of payload and topic.
    """

    max_connections: int = 1000
    max_pending: int = 256
    max_deciding: int = 64
    connect_timeout: float = 10.0
    max_keep_alive: int = 600
    packet_timeout: float = 20.0
    max_packet: int = 262_144
    max_inflight: int = 20
    max_queued: int = 1000
    max_queued_bytes: int = 4_194_304
    max_subscriptions: int = 100
    max_retained: int = 10_000
    max_retained_bytes: int = 67_108_864
