"""The broker: a gate that admits devices by access token, in front of amqtt."""

from labkit.broker.admission import Validator
from labkit.broker.broker import Broker, Client
from labkit.broker.limits import Limits

__all__ = ["Broker", "Client", "Limits", "Validator"]
