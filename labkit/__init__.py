"""labkit: OAuth2 access tokens for MQTT devices, to learn from and to copy.

The names listed here are the public ones; everything else may move.  They load on first use, so that code
which only needs :class:`TokenValidator` does not import a broker.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labkit.device import Device
    from labkit.errors import LabkitError, TokenRejected
    from labkit.lab import Lab
    from labkit.tokens import AccessToken, TokenValidator

__version__ = "0.1.0"
__all__ = ["AccessToken", "Device", "Lab", "LabkitError", "TokenRejected", "TokenValidator", "__version__"]

_HOME = {
    "AccessToken": "labkit.tokens",
    "Device": "labkit.device",
    "Lab": "labkit.lab",
    "LabkitError": "labkit.errors",
    "TokenRejected": "labkit.errors",
    "TokenValidator": "labkit.tokens",
}


def __getattr__(name: str) -> Any:
    try:
        home = _HOME[name]
    except KeyError:
        raise AttributeError(f"module 'labkit' has no attribute {name!r}") from None
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
