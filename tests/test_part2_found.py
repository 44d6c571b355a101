"""What a second pair of eyes found in part 2: one test for each, so that it stays mended."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from support_lab import admitted, code_for, standing

from labkit import Lab, rights
from labkit.authserver.faults import Faults
from labkit.clock import Clock
from labkit.errors import TokenRejected
from labkit.tokens import IntrospectionClient


@pytest.mark.parametrize("ahead", [30, -30])
def test_revoked_is_revoked_where_the_clocks_differ(ahead: float) -> None:
    """The broker compared its own time with an ``iat`` by another clock: 30 s of tokens slipped through."""
    with standing(skew={"authserver": ahead}, leeway=60) as lab:
        lab.register("dev-1")
        token = lab.token("dev-1")  # in nobody's hands yet: there is no live connection to learn its jti from
        lab.clock.advance(seconds=5)
        lab.revoke("dev-1")
        assert code_for(lab, "dev-1", token) == 4
        (refused,) = lab.record.events("connect.refused", client_id="dev-1")
        assert refused["reason"] == "revoked"
        fresh = admitted(lab, "dev-1")  # what was issued afterwards is good, in the same second, too
        assert fresh.silent()


def test_an_answer_is_not_kept_longer_because_a_clock_was_set_back(lab: Lab) -> None:
    now = [lab.clock.now() + 5]
    asking = IntrospectionClient(
        lab.introspection_endpoint,
        lab.resource_server.client_id,
        lab.resource_server.client_secret or "",
        lab.issuer,
        lab.audience,
        clock=Clock(lambda: now[0]),
        leeway=300,
    )
    lab.register("dev-1")
    token = lab.token("dev-1")
    asking.validate(token, client_id="dev-1")
    lab.authserver.revoke_client("dev-1")
    now[0] -= 100
    assert not asking.ready_for(token)
    with pytest.raises(TokenRejected, match="inactive"):
        asking.validate(token, client_id="dev-1")
    assert asking.requests == 2
    asking.close()


@pytest.mark.parametrize(
    ("order", "says"),
    [
        (lambda faults: faults.garbage("not bytes"), "bytes"),
        (lambda faults: faults.status("503"), "200 to 599"),
        (lambda faults: faults.status(True), "200 to 599"),
        (lambda faults: faults.status(503, retry_after=-1), "whole number of seconds"),
        (lambda faults: faults.status(503, retry_after=2.5), "whole number of seconds"),
        (lambda faults: faults.status(503, retry_after="soon"), "whole number of seconds"),
        (lambda faults: faults.delay("1"), "number of real seconds"),
        (lambda faults: faults.hold(path=7), "path"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_when_it_is_ordered(
    order: Callable[[Any], object], says: str
) -> None:
    """A text for a body broke the server's own loop at the request, which printed and never answered."""
    faults = Faults()
    with pytest.raises(ValueError, match=says):
        order(faults)
    assert repr(faults) == "<Faults: none>"


@pytest.mark.parametrize("status", [204, 205, 304])
def test_a_status_without_a_body_has_none(lab: Lab, status: int) -> None:
    with lab.authserver.faults.status(status, path="/healthz"):
        answer = httpx.get(f"{lab.issuer}/healthz", trust_env=False)
    assert (answer.status_code, answer.content) == (status, b"")


@pytest.mark.parametrize("lost", ["$queue/a", "$queue/a/#", "$exclusive/a"])
def test_a_right_that_emqx_cannot_grant_is_said_to_be_lost(lost: str) -> None:
    """EMQX takes these prefixes off before it asks the rules, so a rule with one fits no subscription."""
    rendered = rights.emqx(rights.of("dev-1", publish=[], subscribe=[lost, "b/#"]))
    assert not rendered.exact
    assert any(lost in note and "left out" in note for note in rendered.notes)
    assert [rule["topic"] for rule in rendered.document] == ["b/#", "#"]
    assert not rendered.may_subscribe(lost)
    assert rendered.may_subscribe("b/c")
