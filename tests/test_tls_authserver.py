"""The authorization server over https: tokens bound to certificates and keys."""

import contextlib
import hashlib
import os
import ssl
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from support_authserver import DEVICE_CODE, claims_of, refused
from support_tls import SecureParty, secure
from support_tokens import public_jwk

from labkit.authserver import AuthServer
from labkit.clock import Clock
from labkit.errors import RegistrationRefused, ServiceFailed, TokenRejected
from labkit.record import Record
from labkit.tls import Authority
from labkit.tokens import IntrospectionClient, JwksCache, TokenValidator
from labkit.tokens.thumbprint import thumbprint


@pytest.fixture(scope="module")
def party() -> Iterator[SecureParty]:
    with secure() as place:
        yield place


def _x5t(party: SecureParty, client_id: str) -> str:
    pem = Path(party.authority.client_certificate(client_id)[0]).read_text()
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


@pytest.mark.conformance("AS-03")
def test_everything_is_https(party: SecureParty) -> None:
    document = party.http.get(party.server.metadata_url).json()
    urls = [
        value for name, value in document.items() if name == "issuer" or name.endswith(("_uri", "_endpoint"))
    ]
    assert len(urls) > 4
    assert all(url.startswith("https://127.0.0.1:") for url in urls)
    assert party.token(party.device()).status_code == 200


@pytest.mark.conformance("AS-26", "AS-67")
def test_a_token_is_bound_to_the_certificate_it_was_asked_with(party: SecureParty) -> None:
    """Spec: RFC 8705 §3.1, §3.2, §3.3."""
    device = party.device(certificate_bound=True)
    with party.as_device(device.client_id):
        token = party.token(device).json()["access_token"]
    bound = {"x5t#S256": _x5t(party, device.client_id)}
    assert claims_of(token)["cnf"] == bound
    assert party.introspect(token)["cnf"] == bound
    document = party.http.get(party.server.metadata_url).json()
    assert document["tls_client_certificate_bound_access_tokens"] is True


def test_without_a_certificate_there_is_no_bound_token(party: SecureParty) -> None:
    device = party.device(certificate_bound=True)
    answer = party.token(device)
    assert refused(answer, "invalid_request")
    assert "certificate" in answer.json()["error_description"]


def test_a_certificate_binds_nothing_unless_registered(party: SecureParty) -> None:
    device = party.device()
    with party.as_device(device.client_id):
        assert "cnf" not in claims_of(party.token(device).json()["access_token"])


@pytest.mark.conformance("AS-26")
@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256"])
def test_a_token_is_bound_to_the_registered_key(party: SecureParty, algorithm: str) -> None:
    """Spec: RFC 9449 §6.1, RFC 7638."""
    key = public_jwk(algorithm)
    device = party.device(proof_key=key)
    token = party.token(device).json()["access_token"]
    assert claims_of(token)["cnf"] == {"jkt": thumbprint(key)} == party.introspect(token)["cnf"]


@pytest.mark.parametrize("key", [{}, "x", {"kty": "EC"}, {"kty": "oct", "k": "AA"}, {"kty": ["EC"]}])
def test_what_is_no_public_key_is_refused(party: SecureParty, key: object) -> None:
    with pytest.raises(RegistrationRefused, match="public key"):
        party.device(proof_key=key)


def test_a_private_key_is_refused_and_not_repeated(party: SecureParty) -> None:
    with pytest.raises(RegistrationRefused, match="stays on the device") as refusal:
        party.device(proof_key=public_jwk("ES256") | {"d": "c2VjcmV0"})
    assert "c2VjcmV0" not in str(refusal.value)


def test_the_refresh_token_of_a_public_client_is_bound_too(party: SecureParty) -> None:
    """Spec: RFC 8705 §4."""
    device = party.device(grants=(DEVICE_CODE,), auth="none", certificate_bound=True)
    party.alice()
    codes = party.codes(device)
    party.server.approve(codes["user_code"], username="alice")
    assert refused(party.token(device, DEVICE_CODE, device_code=codes["device_code"]), "invalid_request")
    with party.as_device(device.client_id):  # the code has not been used up
        answer = party.token(device, DEVICE_CODE, device_code=codes["device_code"]).json()
        assert "x5t#S256" in claims_of(answer["access_token"])["cnf"]
    with party.as_device("a-thief"):
        assert refused(party.refresh(device, answer["refresh_token"]), "invalid_grant")
    with party.as_device(device.client_id):
        assert party.refresh(device, answer["refresh_token"]).status_code == 200


@pytest.mark.parametrize("token_format", ["jwt", "opaque"])
@pytest.mark.conformance("RS-34", "RS-39")
def test_who_asks_checks_the_binding_like_who_reads(token_format: str) -> None:
    """A relying party that introspects refuses a bound token from whoever has not proved the key."""
    with secure(token_format=token_format) as party:
        device, broker = party.device(certificate_bound=True), party.broker
        with party.as_device(device.client_id):
            token = party.token(device).json()["access_token"]
        ca_file = party.authority.ca_file
        with IntrospectionClient(
            party.server.introspection_endpoint,
            broker.client_id,
            broker.client_secret or "",
            party.server.issuer,
            party.server.audience,
            clock=party.clock,
            ca_file=ca_file,
        ) as judge:
            _bound(judge, token, device.client_id, _x5t(party, device.client_id), _x5t(party, "thief"))
        if token_format == "jwt":
            keys = JwksCache(party.server.jwks_uri, clock=party.clock, ca_file=ca_file)
            reader = TokenValidator(party.server.issuer, party.server.audience, keys, clock=party.clock)
            _bound(reader, token, device.client_id, _x5t(party, device.client_id), _x5t(party, "thief"))
            keys.close()


def _bound(
    judge: TokenValidator | IntrospectionClient, token: str, client_id: str, right: str, wrong: str
) -> None:
    assert judge.validate(token, client_id, proved={"x5t#S256": right}).client_id == client_id
    for proved in ({}, {"x5t#S256": wrong}, {"jkt": right}):
        with pytest.raises(TokenRejected) as refusal:
            judge.validate(token, client_id, proved=proved)
        assert refusal.value.reason == "not-the-key-holder"


@pytest.mark.conformance("AS-03")
def test_beyond_loopback_it_takes_tls() -> None:
    clock = Clock()
    with pytest.raises(ServiceFailed, match="use tls"):
        AuthServer(clock=clock, record=Record(clock.now), host="192.0.2.1").start()
    with pytest.raises(RegistrationRefused, match="with TLS only"):
        AuthServer(clock=clock, record=Record(clock.now)).register("dev-1", certificate_bound=True)


def test_keys_are_private_files_and_gone_at_the_end() -> None:
    authority = Authority()
    files = [Path(name) for name in (authority.ca_file, *authority.client_certificate("a:b*c"))]
    assert authority.client_certificate("a:b*c") == tuple(map(str, files[1:]))
    folder = files[0].parent
    if os.name == "posix":
        assert folder.stat().st_mode & 0o077 == 0
        assert files[2].stat().st_mode & 0o077 == 0
    assert "PRIVATE KEY" not in files[0].read_text() + repr(vars(authority))
    authority.close()
    authority.close()
    assert not folder.exists()
    with pytest.raises(ServiceFailed, match="has stopped"):
        authority.client_certificate("a:b*c")


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "a b", "under_score..x"])
def test_a_certificate_is_for_somebody(host: str) -> None:
    with pytest.raises(ServiceFailed, match="no certificate can be for"):
        Authority(host)


def test_a_device_cannot_pass_as_the_server() -> None:
    """Its certificate is for clients only, whatever its name."""
    authority = Authority()
    try:
        theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        theirs.load_cert_chain(*authority.client_certificate("localhost"))
        ours = ssl.create_default_context(cafile=authority.ca_file)
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = ours.wrap_bio(into, out, server_hostname="localhost")
        server = theirs.wrap_bio(out, into, server_side=True)

        def shake() -> None:
            for side in (client, server) * 4:
                with contextlib.suppress(ssl.SSLWantReadError):
                    side.do_handshake()

        with pytest.raises(ssl.SSLCertVerificationError):
            shake()
    finally:
        authority.close()


def test_of_two_certificates_of_one_authority_each_proves_its_own(party: SecureParty) -> None:
    assert _x5t(party, "one") != _x5t(party, "two")
