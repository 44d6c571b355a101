"""The broker: a gate that admits devices by access token, in front of amqtt.

What it writes to the record, with source ``"broker"``:

=====================  =============================================================================
``decision.pending``   client_id, carrier: of a CONNECT that cannot be judged without asking the network
``connect.accepted``   client_id, jti, carrier, expires_in (seconds)
``connect.refused``    client_id (what the caller claimed), reason, return_code (of MQTT 5: the reason
                       code), carrier
``upgrade.refused``    reason, status (of HTTP): a request that could not become a WebSocket
``tls.failed``         listener (``mqtts`` or ``wss``), reason: a TLS handshake that came to nothing
``publish.accepted``   client_id, jti, topic, qos, retain, size (bytes); never what it says
``publish.refused``    client_id, jti, topic: not forwarded; acknowledged in 3.1.1, refused in MQTT 5
``subscribe.accepted`` client_id, jti, filter, qos (granted)
``subscribe.refused``  client_id, jti, filter, reason
``retain.refused``     topic, reason: forwarded, but not retained
``message.delivered``  client_id, topic, qos: sent to a subscriber
``message.dropped``    client_id, topic: the first of those that found its queue full, or were too long
``will.published``     client_id, jti, topic, qos, retain, size
``token.expired``      client_id, jti
``token.revoked``      client_id, jti
``taken-over``         client_id, jti: of the older connection
``disconnected``       client_id, jti: by :meth:`Broker.disconnect`
``protocol.error``     reason, and client_id once it is known to be true
``connection.closed``  client_id, jti, reason: the end of every accepted connection; reason_code, where the
                       broker has said it in a DISCONNECT of MQTT 5
``internal.error``     client_id, reason: a fault of the broker; please report it
``server.started``     and ``server.stopped``
=====================  =============================================================================
"""

from labkit.broker.admission import Validator
from labkit.broker.broker import Broker, Client
from labkit.broker.limits import Limits

__all__ = ["Broker", "Client", "Limits", "Validator"]
