"""The names that are used from outside."""

import inspect
import subprocess
import sys

import pytest

import labkit
from labkit import AccessToken, Device, Lab, TokenRejected, TokenValidator


def test_every_public_name_is_there_and_documented() -> None:
    for name in labkit.__all__:
        if name != "__version__":
            assert inspect.getdoc(getattr(labkit, name)), name
    assert set(labkit.__all__) <= set(dir(labkit))
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        labkit.Nonsense  # noqa: B018


def test_the_validator_is_called_as_documented() -> None:
    parameters = inspect.signature(TokenValidator).parameters
    assert list(parameters)[:3] == ["issuer", "audience", "keys"]
    defaults = {name: parameter.default for name, parameter in parameters.items()}
    assert tuple(defaults["algorithms"]) == ("ES256", "RS256", "EdDSA")
    assert tuple(defaults["required_scopes"]) == ("mqtt.connect",)
    assert defaults["leeway"] == 0
    assert defaults["max_token_bytes"] == 16384
    assert defaults["clock"] is None


def test_a_rejection_carries_its_evidence() -> None:
    refusal = TokenRejected(
        "expired", claim="exp", expected="later", actual="earlier", spec="RFC", hint="Refresh."
    )
    for name in ("reason", "claim", "expected", "actual", "spec", "hint", "return_code", "reason_code"):
        assert getattr(refusal, name) is not None
    assert str(refusal) == "expired (exp): expected later, got earlier [RFC]. Refresh."


def test_the_names_of_a_lab(lab: Lab) -> None:
    assert lab.issuer.startswith("http://127.0.0.1:")
    assert lab.audience == "https://mqtt.lab"
    assert lab.token_endpoint == lab.issuer + "/oauth2/token"
    assert lab.introspection_endpoint == lab.issuer + "/oauth2/introspect"
    assert lab.revocation_endpoint == lab.issuer + "/oauth2/revoke"
    assert lab.jwks_uri == lab.issuer + "/oauth2/jwks"
    assert lab.mqtt.url == f"mqtt://{lab.mqtt.host}:{lab.mqtt.port}"
    credentials = lab.register("thermostat-1", publish=["a/#"], subscribe=["b/#"], lifetime=60)
    assert credentials.client_id == "thermostat-1"
    assert credentials.client_secret
    assert credentials.client_secret not in repr(credentials)
    token = lab.token("thermostat-1")
    assert isinstance(token, str)
    accepted = lab.validator.validate(token, client_id="thermostat-1")
    assert isinstance(accepted, AccessToken)
    assert accepted.expires_at - accepted.issued_at == 60
    assert isinstance(lab.device("thermostat-1"), Device)


def test_a_validator_alone_does_not_load_a_broker() -> None:
    code = "import sys, labkit; labkit.TokenValidator; print({'amqtt', 'starlette'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"
