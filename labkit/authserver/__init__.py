"""The authorization server: gives tokens to devices, and tells relying parties about them."""

from labkit.authserver.clients import Credentials
from labkit.authserver.server import AuthServer

__all__ = ["AuthServer", "Credentials"]
