"""Clocks that are off: whose clock matters for what, and how much leeway makes up for it."""

import pytest
from support_lab import admitted, code_for, standing

from labkit import Lab
from labkit.errors import ServiceFailed


def refusal(lab: Lab) -> str:
    return str(lab.record.events("connect.refused")[-1]["reason"])


@pytest.mark.parametrize("skew", [{"broker": -120.0}, {"authserver": 120.0}])
def test_to_a_broker_that_is_behind_a_fresh_token_comes_from_the_future(skew: dict[str, float]) -> None:
    with standing(skew=skew) as lab:
        lab.register("dev-1")
        assert code_for(lab, "dev-1", lab.token("dev-1")) == 4
        assert refusal(lab) == "issued-in-future"
    with standing(skew=skew, leeway=120) as lab:
        lab.register("dev-1")
        assert code_for(lab, "dev-1", lab.token("dev-1")) == 0


@pytest.mark.parametrize("skew", [{"broker": 120.0}, {"authserver": -120.0}])
def test_to_a_broker_that_is_ahead_a_token_dies_early(skew: dict[str, float]) -> None:
    with standing(skew=skew) as lab:
        lab.register("dev-1", lifetime=300)
        token = lab.token("dev-1")
        client = admitted(lab, "dev-1", token)
        lab.clock.advance(seconds=179)
        assert client.silent()
        lab.clock.advance(seconds=1)
        assert client.ended()
        assert code_for(lab, "dev-1", token) == 4
        assert refusal(lab) == "expired"
        lab.register("dev-2", lifetime=60)
        assert code_for(lab, "dev-2", lab.token("dev-2")) == 4


@pytest.mark.parametrize("validation", ["jwt", "introspection", "both"])
def test_who_is_off_by_the_same_amount_agrees(validation: str) -> None:
    with standing(skew={"broker": -90.0, "authserver": -90.0}, validation=validation) as lab:
        lab.register("dev-1", lifetime=300)
        client = admitted(lab, "dev-1")
        lab.clock.advance(seconds=299)
        assert client.silent()
        lab.clock.advance(seconds=1)
        assert client.ended()


@pytest.mark.parametrize("skew", [-86_400.0, -90.0, 90.0, 86_400.0])
def test_the_clock_of_a_device_may_show_anything(skew: float) -> None:
    """It counts from ``expires_in``, and never looks at ``exp`` (RFC 9068 §6)."""
    with standing() as lab:
        lab.register("dev-1", lifetime=300)
        with lab.device("dev-1", clock=lab.clock.skewed(skew)) as device:
            lab.clock.advance(hours=1)
            device.publish("devices/dev-1/up", "21.5")
        assert not lab.record.events("token.expired")
        assert 13 <= len(lab.record.events("refreshed")) <= 18


def test_only_two_clocks_belong_to_the_lab() -> None:
    with pytest.raises(ServiceFailed, match="a device takes clock="):
        Lab(skew={"dev-1": 3.0})
