"""Every client of ours refuses a server that is not who it should be, in a sentence, and tells it nothing."""

from pathlib import Path
from typing import Any

import pytest
from support_tls import BAD_CERTIFICATES, impostor
from support_tokens import AUDIENCE, CLIENT, token

from labkit import Device
from labkit.device import Token, TokenSource
from labkit.errors import ConnectionFailed, TokenRejected, TokenRequestFailed
from labkit.tokens import IntrospectionClient, JwksCache, TokenValidator

pytestmark = pytest.mark.conformance("CL-04")


@pytest.mark.parametrize("fault", BAD_CERTIFICATES)
def test_a_token_source_keeps_its_secret(fault: str, tmp_path: Path) -> None:
    with impostor(fault, tmp_path) as (port, ca_file):
        url = f"https://127.0.0.1:{port}"
        with pytest.raises(TokenRequestFailed, match="certificate verify failed"):
            TokenSource(f"{url}/token", "dev-1", "secret", ca_file=ca_file).fetch()
        with pytest.raises(TokenRequestFailed, match="certificate verify failed"):
            TokenSource.from_issuer(url, "dev-1", "secret", ca_file=ca_file)


@pytest.mark.parametrize("fault", BAD_CERTIFICATES)
@pytest.mark.parametrize(
    "way",
    [
        {"version": 4},
        {"version": 5, "carrier": "enhanced"},
        {"version": 5, "transport": "websockets"},
        {"version": 4, "transport": "websockets", "carrier": "header"},
    ],
    ids=lambda way: "-".join(map(str, way.values())),
)
def test_a_device_keeps_its_token(way: dict[str, Any], fault: str, tmp_path: Path) -> None:
    with impostor(fault, tmp_path) as (port, ca_file):
        device = Device("dev-1", "secret", host="127.0.0.1", port=port, ca_file=ca_file, **way)
        device.tokens._token = Token(access_token="e30.e30.e30")
        with pytest.raises(ConnectionFailed, match="certificate verify failed"):
            device.connect()


@pytest.mark.parametrize("fault", BAD_CERTIFICATES)
@pytest.mark.conformance("RS-34")
def test_a_relying_party_believes_nobody_else(fault: str, tmp_path: Path) -> None:
    """It fails closed, and says that it could not ask."""
    with impostor(fault, tmp_path) as (port, ca_file):
        issuer = f"https://127.0.0.1:{port}"
        told: list[int | str] = []
        keys = JwksCache(f"{issuer}/jwks", ca_file=ca_file, on_fetch=told.append)
        asking = IntrospectionClient(f"{issuer}/ask", "broker", "secret", issuer, AUDIENCE, ca_file=ca_file)
        for judge in (TokenValidator(issuer, AUDIENCE, keys), asking):
            with pytest.raises(TokenRejected) as refusal:
                judge.validate(token(iss=issuer), CLIENT)
            assert refusal.value.return_code == 3
            assert "certificate" in str(refusal.value.actual)
        assert "certificate" in str(told[0])
        keys.close()
        asking.close()
