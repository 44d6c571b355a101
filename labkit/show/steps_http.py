"""What is said over HTTP, to the authorization server: the steps of its events, and of requests to it."""

from collections.abc import Callable

from labkit.record import Event
from labkit.show.steps import AUTHSERVER, BROKER, Tell, Teller, client, named
from labkit.show.text import seconds

__all__ = ["HTTP"]

#: What to do with an event, by its source and kind.
HTTP: dict[tuple[str, str], Tell] = {}

#: The client id of the lab's own broker, for introspection.
_RESOURCE_SERVER = "mqtt-broker"
_TOKEN = "/oauth2/token"  # noqa: S105  # a path


def _of(source: str, *kinds: str) -> Callable[[Tell], Tell]:
    def register(tell: Tell) -> Tell:
        HTTP.update(dict.fromkeys([(source, kind) for kind in kinds], tell))
        return tell

    return register


@_of("authserver", "token.issued")
def _issued(teller: Teller, event: Event) -> None:
    life = f" for {event['lifetime']} s" if event["lifetime"] is not None else ""
    reply = f"200: token {teller.token(event['jti'])}{life}"
    teller.ask(client(event["client_id"]), AUTHSERVER, _post(_TOKEN, event["grant"]), reply)
    teller.expect("token", event)


@_of("device", "token.fetched")
def _fetched(teller: Teller, event: Event) -> None:
    if not teller.expected("token", event):
        life = f" for {event['expires_in']} s" if event["expires_in"] is not None else ""
        request = _post(_TOKEN, event["grant"])
        teller.ask(client(event["client_id"]), AUTHSERVER, request, f"200: a token{life}")


@_of("device", "token.failed")
def _unanswered(teller: Teller, event: Event) -> None:
    reason = str(event["reason"])
    what = "not sent" if "https" in reason else "no answer" if "no answer" in reason else "no usable answer"
    teller.lose(client(event["client_id"]), AUTHSERVER, f"POST {_TOKEN}: {what}")


@_of("authserver", "token.refused", "request.refused")
def _refused(teller: Teller, event: Event) -> None:
    who = client(event["client_id"])
    path = _TOKEN if event.kind == "token.refused" else event["path"] or ""
    if not teller.expected("refusal of the grant", event):
        teller.say(who, AUTHSERVER, _post(named(path), event["grant"]))
    status = f"{event['status']}: " if event["status"] is not None else ""
    teller.say(AUTHSERVER, who, status + named(event["error"]), "refusal")


@_of("authserver", "refresh.reused")
def _reused(teller: Teller, event: Event) -> None:
    teller.say(client(event["client_id"]), AUTHSERVER, _post(_TOKEN, "refresh_token"))
    teller.note(AUTHSERVER, "this refresh token was used before", "end")
    teller.expect("refusal of the grant", event)


@_of("authserver", "token.revoked")
def _revoked(teller: Teller, event: Event) -> None:
    jti, whose = event["jti"], client(event["client_id"]).name
    what = f"every token of {whose}" if jti is None else f"token {teller.token(jti)}"
    teller.note(AUTHSERVER, f"revokes {what}", "end")
    teller.expect("revocation", event)


@_of("authserver", "revocation.asked")
def _revocation_asked(teller: Teller, event: Event) -> None:
    teller.say(client(event["client_id"]), AUTHSERVER, "POST /oauth2/revoke")
    teller.expect("answer", event)


@_of("authserver", "revocation.answered")
def _revocation_answered(teller: Teller, event: Event) -> None:
    who = client(event["client_id"])
    if not teller.expected("answer", event):
        teller.say(who, AUTHSERVER, "POST /oauth2/revoke")
    teller.say(AUTHSERVER, who, "200", "reply")


@_of("authserver", "introspection")
def _introspected(teller: Teller, event: Event) -> None:
    caller = event["caller"]
    who = BROKER if caller == _RESOURCE_SERVER else client(caller)
    teller.ask(who, AUTHSERVER, "POST /oauth2/introspect", f"200: {'' if event['active'] else 'not '}active")


@_of("authserver", "device.asked")
def _device_asked(teller: Teller, event: Event) -> None:
    path = "POST /oauth2/device_authorization"
    teller.ask(client(event["client_id"]), AUTHSERVER, path, "200: device code and user code")


@_of("authserver", "device.approved", "device.denied")
def _owner_answered(teller: Teller, event: Event) -> None:
    answer = "yes" if event.kind == "device.approved" else "no"
    teller.note(AUTHSERVER, f"the owner of {client(event['client_id']).name} says {answer}")


@_of("authserver", "metadata.served")
def _metadata_served(teller: Teller, event: Event) -> None:
    teller.ask(client(None), AUTHSERVER, f"GET {named(event['path'])}", "200: metadata")


@_of("authserver", "keys.served")
def _keys_served(teller: Teller, event: Event) -> None:
    follows = teller.ahead(("keys.served", "keys.fetched", "keys.failed"))
    if follows is None or follows.kind == "keys.served":  # else the broker tells that it was the broker
        teller.ask(client(None), AUTHSERVER, "GET /oauth2/jwks", _keys(event))


@_of("broker", "keys.fetched")
def _keys_fetched(teller: Teller, event: Event) -> None:
    teller.ask(BROKER, AUTHSERVER, "GET /oauth2/jwks", _keys(event), minor=True)


@_of("broker", "keys.failed")
def _keys_failed(teller: Teller, event: Event) -> None:
    teller.lose(BROKER, AUTHSERVER, "GET /oauth2/jwks: no usable answer")


@_of("authserver", "server.started", "server.stopped")
def _started_or_stopped(teller: Teller, event: Event) -> None:
    teller.note(AUTHSERVER, "starts" if event.kind == "server.started" else "stops")


@_of("authserver", "tls.failed")
def _no_tls(teller: Teller, event: Event) -> None:
    teller.note(AUTHSERVER, f"TLS handshake failed: {named(event['reason'], 60)}", "refusal")


@_of("authserver", "keys.rotation")
def _rotated(teller: Teller, event: Event) -> None:
    wait = event["wait"]
    later = f" in {seconds(wait)}" if isinstance(wait, int | float) and wait >= 1 else ""
    teller.note(AUTHSERVER, f"signs with its next key{later or ' from now on'}")


def _keys(event: Event) -> str:
    return f"200: {event['keys']} key{'s' * (event['keys'] != 1)}"


def _post(path: str, grant: object) -> str:
    kind = named(grant).rpartition(":")[2] if grant is not None else ""
    return f"POST {path}: {kind}" if kind else f"POST {path}"
