"""One device's rights, said in the formats of other people's brokers.

====================  =======================================================================
:func:`of`            the rights of a device: from its credentials, a token, or topic filters
:func:`template`      ``devices/{client_id}/#`` for one client id
:func:`rabbitmq`      RabbitMQ: OAuth 2.0 scopes with patterns
:func:`emqx`          EMQX: the ``acl`` claim of a JWT
:func:`aws`           AWS IoT Core: a policy
:func:`aif`           RFC 9431: an AIF-MQTT scope
:class:`Rendered`     what they return: plain data, and a sentence for all that got lost
====================  =======================================================================

::

    device = rights.of("thermostat-1", subscribe=["cmd/{client_id}/#"])
    print(rights.rabbitmq(device))

No translation is wider than the rights themselves.  Where a format cannot say a right exactly, the right is
narrowed or left out, and a note says so.
"""

from labkit.rights.aif_mqtt import aif
from labkit.rights.aws_policy import aws
from labkit.rights.emqx_acl import emqx
from labkit.rights.grant import DEFAULT, Rights, of, template, usable_client_id
from labkit.rights.rabbit import rabbitmq
from labkit.rights.rendered import Action, Rendered

__all__ = [
    "DEFAULT",
    "Action",
    "Rendered",
    "Rights",
    "aif",
    "aws",
    "emqx",
    "of",
    "rabbitmq",
    "template",
    "usable_client_id",
]
