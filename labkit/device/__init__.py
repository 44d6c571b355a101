"""A device that always holds a fresh access token: OAuth2 for MQTT 3.1.1.  Copy this folder.

It needs httpx and paho-mqtt.  From labkit it takes two exceptions, ``TokenRequestFailed`` and
``ConnectionFailed``: bring ``errors.py`` along, or put two of your own in their place.

::

    device       when to get a token, when to connect, when to try again
    tokensource  the life of a token: grants, expiry, refresh, one request at a time
    timing       the clock it goes by
    exchange     one HTTP request to the authorization server
    connection   one MQTT connection that carries a token
"""

from .connection import Message
from .device import Device
from .timing import Clock, SystemClock
from .tokensource import Token, TokenSource

__all__ = ["Clock", "Device", "Message", "SystemClock", "Token", "TokenSource"]
