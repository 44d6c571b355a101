"""Rights in other people's formats: never wider than the grant, and well-formed in each format's own eyes."""

import base64
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from labkit import Lab, rights
from labkit.errors import RegistrationRefused
from labkit.rights import Rendered, Rights, aif_mqtt, aws_policy, rabbit
from labkit.topics import Permissions, covers, matches, valid_filter, valid_topic

HERE = {"region": "eu-west-1", "account": "123456789012"}
RENDER: dict[str, Any] = {
    "RabbitMQ": rights.rabbitmq,
    "EMQX": rights.emqx,
    "AWS": lambda granted: rights.aws(granted, **HERE),
    "AIF": rights.aif,
}

#: Levels that mean something to some format: dots and stars, escapes, placeholders, empty levels, $ topics.
LEVELS = ("", "a", "b", "$s", "a.b", ".", "*", "a*", "?", "${clientid}", "$queue", "eq a", "%2A", "é")


def joined(levels: list[str], end: list[str]) -> str:
    return "/".join([*levels, *end])


def filters(most: int) -> st.SearchStrategy[str]:
    """Filters of up to ``most`` levels."""
    plain = st.sampled_from(LEVELS) | st.sampled_from(("a", "b", "+"))
    made = st.builds(joined, st.lists(plain, max_size=most), st.sampled_from(([], ["#"])))
    return made.filter(lambda text: valid_filter(text) and not text.startswith("$share"))


def topics(most: int) -> st.SearchStrategy[str]:
    level = st.sampled_from(LEVELS) | st.sampled_from(("a", "b", "c"))
    return st.lists(level, min_size=1, max_size=most).map("/".join).filter(valid_topic)


granted = st.lists(filters(3), max_size=3)
wanted_filters = (
    filters(4) | filters(4).map(lambda f: f"$share/g/{f}") | filters(3).map(lambda f: f"$queue/{f}")
)
thorough = settings(deadline=None, max_examples=600)


def made(publish: list[str], subscribe: list[str]) -> Rights:
    return Rights(client_id="dev-1", publish=tuple(publish), subscribe=tuple(subscribe))


def inside(grants: tuple[str, ...], wanted: str) -> bool:
    """``Permissions``, for a broker to which $share is a level like any other."""
    return any(covers(grant, wanted) for grant in grants)


def as_rabbitmq_reads(text: str) -> str:
    """The topic or filter that is meant there: a dot is a slash, a level that is a star is a plus."""
    return "/".join("+" if level == "*" else level for level in text.replace(".", "/").split("/"))


def as_emqx_reads(topic_filter: str) -> str:
    for prefix in ("$queue/", "$exclusive/"):
        if topic_filter.startswith(prefix) and valid_filter(topic_filter.removeprefix(prefix)):
            return topic_filter.removeprefix(prefix)
    return topic_filter


def agrees(rendered: Rendered, there: bool, here: bool) -> None:
    """Never more than here; and exactly as much, where no note says that something got lost."""
    assert here or not there, "wider than the grant"
    if rendered.exact:
        assert there == here, "narrower than the grant, and no note says so"


@thorough
@given(granted, granted, topics(4), wanted_filters)
def test_rabbitmq_allows_no_more(publish: list[str], subscribe: list[str], topic: str, wanted: str) -> None:
    device = made(publish, subscribe)
    rendered = rights.rabbitmq(device)
    agrees(rendered, rendered.may_publish(topic), inside(device.publish, topic.replace(".", "/")))
    agrees(rendered, rendered.may_subscribe(wanted), inside(device.subscribe, as_rabbitmq_reads(wanted)))


@thorough
@given(granted, granted, topics(4), wanted_filters)
def test_emqx_allows_no_more(publish: list[str], subscribe: list[str], topic: str, wanted: str) -> None:
    device = made(publish, subscribe)
    rendered = rights.emqx(device)
    agrees(rendered, rendered.may_publish(topic), device.permissions.may_publish(topic))
    here = device.permissions.may_subscribe(as_emqx_reads(wanted))
    agrees(rendered, rendered.may_subscribe(wanted), here)


@thorough
@given(granted, granted, topics(4), wanted_filters)
def test_aws_allows_no_more(publish: list[str], subscribe: list[str], topic: str, wanted: str) -> None:
    device = made(publish, subscribe)
    rendered = rights.aws(device, **HERE)
    agrees(rendered, rendered.may_publish(topic), inside(device.publish, topic))
    agrees(rendered, rendered.may_subscribe(wanted), inside(device.subscribe, wanted))
    # What arrives needs both: a subscription that matches, and Receive.
    receives = aws_policy.allows(rendered.document, "receive", topic)
    if rendered.may_subscribe(wanted) and matches(wanted, topic) and receives:
        assert device.permissions.may_receive(topic)
    assert receives or not device.permissions.may_receive(topic)


@thorough
@given(granted, granted, topics(4), wanted_filters)
def test_aif_says_exactly_the_same(publish: list[str], subscribe: list[str], topic: str, wanted: str) -> None:
    device = made(publish, subscribe)
    rendered = rights.aif(device)
    assert rendered.exact
    assert rendered.may_publish(topic) == device.permissions.may_publish(topic)
    assert rendered.may_subscribe(wanted) == device.permissions.may_subscribe(wanted)
    received = aif_mqtt.allows(rendered.document, "receive", topic)
    assert received == device.permissions.may_receive(topic)
    claim = rendered.claims["scope"]
    assert json.loads(base64.urlsafe_b64decode(claim + "==")) == rendered.document


@pytest.mark.parametrize("name", RENDER)
def test_the_properties_above_see_both_answers(name: str) -> None:
    # A format that allowed nothing would pass them.
    rendered = RENDER[name](rights.of("dev-1"))
    assert rendered.exact
    assert rendered.may_publish("devices/dev-1/up")
    assert rendered.may_publish("devices/dev-1")
    assert not rendered.may_publish("devices/dev-10/up")
    assert not rendered.may_publish("devices/dev-2/up")
    for inside_it in ("devices/dev-1/#", "devices/dev-1/+/x", "devices/dev-1"):
        assert rendered.may_subscribe(inside_it)
    for outside in ("#", "devices/#", "devices/+/up", "devices/dev-2/#", "+/dev-1/#", "$SYS/#"):
        assert not rendered.may_subscribe(outside)


#: What gets lost: format, how it is granted, filter, and a word of the note.
LOST = [
    ("RabbitMQ", "publish", "devices/+/up", "left out: + is one level"),
    ("RabbitMQ", "publish", "#", "left out: a wildcard at the start"),
    ("RabbitMQ", "publish", "a.b/c", "left out: a dot is a level"),
    ("RabbitMQ", "subscribe", "a/b.c/#", "left out: a dot is a level"),
    ("RabbitMQ", "subscribe", "#", "left out: a wildcard at the start"),
    ("RabbitMQ", "subscribe", "+/up", "left out: a wildcard at the start"),
    ("RabbitMQ", "subscribe", "a/*", "left out: a level that is a star"),
    ("RabbitMQ", "subscribe", "devices/+/up", "narrower: its + is said as it stands"),
    ("EMQX", "publish", "#", "left out: a wildcard at the start"),
    ("EMQX", "publish", "${clientid}/#", "left out: it has ${ in it"),
    ("EMQX", "subscribe", "a/+", "narrower: + in a rule also fits a #"),
    ("EMQX", "subscribe", "a/+/#", "narrower: + in a rule also fits a #"),
    ("EMQX", "subscribe", "#", "narrower: a wildcard at the start"),
    ("EMQX", "subscribe", "${clientid}/#", "narrower: it has ${"),
    ("AWS", "publish", "devices/+/up", "left out: + is one level"),
    ("AWS", "publish", "+/#", "left out: a wildcard at the start"),
    ("AWS", "subscribe", "devices/+/up", "Receive has a star for the + and is wider by itself"),
    ("AWS", "subscribe", "#", "narrower: its wildcard is said as it stands"),
]


@pytest.mark.parametrize(("name", "action", "topic_filter", "says"), LOST)
def test_what_gets_lost_is_said(name: str, action: str, topic_filter: str, says: str) -> None:
    rendered = RENDER[name](Rights(client_id="dev-1", **{action: (topic_filter,)}))
    (note,) = rendered.notes
    assert note.startswith(f"{action} {topic_filter!r} is ")
    assert says in note
    assert note.endswith(".")
    assert not rendered.exact
    if "left out" in note:
        asked = rendered.may_publish if action == "publish" else rendered.may_subscribe
        assert not asked("a/b/c")
    else:
        assert rendered.may_subscribe(topic_filter)


#: What comes through whole, although it looks difficult.
WHOLE = [
    ("RabbitMQ", "publish", "a/+/#", "a/b", "a"),
    ("RabbitMQ", "publish", "a/+/+/#", "a/b/c/d", "a/b"),
    ("RabbitMQ", "publish", "/#", "/a", "a"),
    ("RabbitMQ", "publish", "a b/ä%2F", "a b/ä%2F", "a b/ä/"),
    ("EMQX", "publish", "a/+/up", "a/b/up", "a/b/c/up"),
    ("EMQX", "publish", "${clientid}/x", "${clientid}/x", "dev-1/x"),
    ("EMQX", "publish", "eq a", "eq a", "a"),
    ("AWS", "publish", "a/+/+/#", "a/b/c", "a/b"),
    ("AWS", "publish", "a*/${x}/?", "a*/${x}/?", "ab/${x}/?"),
    ("AIF", "publish", "a/+", "a/b", "a/b/c"),
]


@pytest.mark.parametrize(("name", "action", "topic_filter", "allowed", "denied"), WHOLE)
def test_what_is_not_lost(name: str, action: str, topic_filter: str, allowed: str, denied: str) -> None:
    rendered = RENDER[name](Rights(client_id="dev-1", publish=(topic_filter,)))
    assert rendered.notes == ()
    assert rendered.may_publish(allowed)
    assert not rendered.may_publish(denied)
    assert not rendered.may_subscribe(allowed)


# The grammar of each format, as its own documentation has it.

#: rabbitmq.com/docs/oauth2, "Scope-to-permission translation" and "Topic exchange scopes":
#: <permission>:<vhost_pattern>/<name_pattern>[/<routing_key_pattern>], patterns percent-encoded; and a scope
#: is a scope-token (RFC 6749 §3.3).
_PATTERN = r"(?:[A-Za-z0-9._~*-]|%[0-9A-F]{2})*"
RABBITMQ_SCOPE = re.compile(
    rf"rabbitmq\.(?:configure|write|read):{_PATTERN}/{_PATTERN}(?:/{_PATTERN})?", re.ASCII
)
#: docs.emqx.com/en/emqx/latest/access-control/authn/acl.html, "New Format".
EMQX_ACL = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["permission", "action", "topic"],
        "additionalProperties": False,
        "properties": {
            "permission": {"enum": ["allow", "deny"]},
            "action": {"enum": ["publish", "subscribe", "all"]},
            "topic": {"type": "string", "minLength": 1},
            "qos": {"type": "array", "items": {"enum": [0, 1, 2]}},
            "retain": {"type": "boolean"},
        },
    },
}
#: docs.aws.amazon.com/iot/latest/developerguide: iot-policies ("Effect", "Action", "Resource"),
#: iot-action-resources (which resource for which action).
_ARN = "^arn:(aws|aws-cn|aws-us-gov):iot:[a-z0-9-]+:[0-9]{12}:"


def _aws_statement(actions: list[str], resource: str) -> dict[str, Any]:
    return {
        "properties": {
            "Effect": {"enum": ["Allow", "Deny"]},
            "Action": {"const": actions},
            "Resource": {
                "type": "array",
                "minItems": 1,
                "uniqueItems": True,
                "items": {"type": "string", "pattern": f"{_ARN}{resource}/."},
            },
        }
    }


AWS_POLICY = {
    "type": "object",
    "required": ["Version", "Statement"],
    "additionalProperties": False,
    "properties": {
        "Version": {"const": "2012-10-17"},
        "Statement": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["Effect", "Action", "Resource"],
                "additionalProperties": False,
                "properties": {"Effect": {}, "Action": {}, "Resource": {}},
                "oneOf": [
                    _aws_statement(["iot:Connect"], "client"),
                    _aws_statement(["iot:Publish", "iot:RetainPublish"], "topic"),
                    _aws_statement(["iot:Subscribe"], "topicfilter"),
                    _aws_statement(["iot:Receive"], "topic"),
                ],
            },
        },
    },
}
#: RFC 9431 §2.3, its CDDL as in draft-ietf-ace-mqtt-tls-profile-17: [* [mqtt-topic-filter, [+ "pub"/"sub"]]].
AIF_MQTT = {
    "type": "array",
    "items": {
        "type": "array",
        "prefixItems": [
            {"type": "string", "minLength": 1},
            {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"enum": ["pub", "sub"]}},
        ],
        "minItems": 2,
        "maxItems": 2,
    },
}


def well_formed(name: str, document: Any) -> bool:
    if name == "RabbitMQ":
        return all(RABBITMQ_SCOPE.fullmatch(scope) for scope in document)
    schema = {"EMQX": EMQX_ACL, "AWS": AWS_POLICY, "AIF": AIF_MQTT}[name]
    return bool(Draft202012Validator(schema).is_valid(document))


@settings(deadline=None)
@given(granted, granted)
def test_each_document_is_well_formed_and_plain_data(publish: list[str], subscribe: list[str]) -> None:
    for name, render in RENDER.items():
        rendered = render(made(publish, subscribe))
        assert json.loads(json.dumps(rendered.document)) == rendered.document
        assert well_formed(name, rendered.document)
        text = str(rendered)
        assert text.isascii() or "é" in text
        assert all(note.endswith(".") for note in (*rendered.notes, *rendered.limits))


def test_the_grammars_refuse_what_is_not_theirs() -> None:
    assert not well_formed("RabbitMQ", ["rabbitmq.write:/a b"])
    assert not well_formed("RabbitMQ", ["rabbitmq.admin:*/*"])
    assert not well_formed("EMQX", [{"permission": "allow", "action": "pub/sub", "topic": "a"}])
    assert not well_formed("EMQX", {"pub": ["a"]})
    assert not well_formed("AIF", [["a", []]])
    assert not well_formed("AIF", [["a", "pub"]])
    policy = rights.aws(rights.of("dev-1"), **HERE).document
    policy["Statement"][1]["Resource"] = ["arn:aws:iot:eu-west-1:123456789012:topicfilter/a"]
    assert not well_formed("AWS", policy)


def test_the_example_of_rfc_9431() -> None:
    device = rights.of("dev-1", publish=["topic1", "topic2/#"], subscribe=["topic1", "+/topic3"])
    assert rights.aif(device).document == [
        ["topic1", ["pub", "sub"]],
        ["topic2/#", ["pub"]],
        ["+/topic3", ["sub"]],
    ]
    assert rights.aif(device).may_publish("topic2/a")


def test_rabbitmq_scopes_of_a_device_with_both_rights() -> None:
    device = rights.of("dev-1", publish=["a/b"], subscribe=["cmd/{client_id}/#"])
    assert rights.rabbitmq(device).claims["scope"].split(" ") == [
        "rabbitmq.write:%2F/amq.topic/a.b",
        "rabbitmq.read:%2F/amq.topic/cmd.dev-1",
        "rabbitmq.read:%2F/amq.topic/cmd.dev-1.*",
        "rabbitmq.configure:%2F/mqtt-subscription-dev-1qos0",
        "rabbitmq.write:%2F/mqtt-subscription-dev-1qos0",
        "rabbitmq.read:%2F/mqtt-subscription-dev-1qos0",
        "rabbitmq.configure:%2F/mqtt-subscription-dev-1qos1",
        "rabbitmq.write:%2F/mqtt-subscription-dev-1qos1",
        "rabbitmq.read:%2F/mqtt-subscription-dev-1qos1",
    ]
    other = rights.rabbitmq(device, resource_server_id="broker-7", vhost="lab")
    assert other.document[0] == "broker-7.write:lab/amq.topic/a.b"
    assert other.may_publish("a/b")
    assert not rabbit.allows(other.document, "publish", "a/b")  # another resource server, another vhost
    with pytest.raises(ValueError, match="prefix of scopes"):
        rights.rabbitmq(device, resource_server_id="a b")


@pytest.mark.parametrize(
    ("text", "pattern", "fits"),
    [
        # wildcard.erl of RabbitMQ's OAuth 2 plugin, and the examples of its own tests (wildcard_match_SUITE).
        ("string", "string", True),
        ("string", "*", True),
        ("", "*", True),
        ("", "", True),
        ("string", "", False),
        ("string", "str*", True),
        ("string", "*ing", True),
        ("stringing", "*ing", False),  # sought from the left, not again further right
        ("a.b.c", "a.*.*", True),
        ("a.", "a.*", True),
        ("a", "a.*", False),
        ("a*b", "a%2Ab", True),
        ("axb", "a%2Ab", False),
        ("a b", "a+b", True),
        ("a", "a**", False),
    ],
)
def test_patterns_are_matched_as_rabbitmq_does(text: str, pattern: str, fits: bool) -> None:
    assert rabbit._fits(text, pattern) is fits


def test_aws_wants_a_real_place_and_a_short_policy() -> None:
    device = rights.of("dev-1")
    for wrong in ({"region": "here"}, {"account": "123"}, {"account": "12345678901*"}, {"partition": "gcp"}):
        with pytest.raises(ValueError, match="AWS"):
            rights.aws(device, **(HERE | wrong))
    long = rights.of("dev-1", publish=[f"devices/{{client_id}}/{number:060}" for number in range(20)])
    with pytest.raises(ValueError, match="at most 2048 characters"):
        rights.aws(long, **HERE)
    connect = rights.aws(rights.of("a*?$"), **HERE).document["Statement"][0]
    assert connect["Resource"] == ["arn:aws:iot:eu-west-1:123456789012:client/a${*}${?}${$}"]


def test_rights_are_those_of_credentials_of_a_token_or_of_a_name() -> None:
    class Given:
        client_id = "dev-1"
        publish = ("a/#",)
        subscribe = ("b",)

    class Token:
        client_id = "dev-1"
        permissions = Permissions(("a/#",), ("b",))

    assert (
        rights.of(Given())
        == rights.of(Token())
        == Rights(client_id="dev-1", publish=("a/#",), subscribe=("b",))
    )
    assert rights.of("dev-1").publish == ("devices/dev-1/#",)
    assert rights.of(Given(), publish=["x/{client_id}"]).publish == ("x/dev-1",)
    assert rights.of("dev-1").scopes == (
        "mqtt.connect",
        "mqtt.publish:devices/dev-1/#",
        "mqtt.subscribe:devices/dev-1/#",
    )
    for wrong in (7, None, object(), "", "a/b", "#"):
        with pytest.raises(ValueError, match="client id"):
            rights.of(wrong)
    with pytest.raises(ValueError, match="come as a list"):
        rights.of("dev-1", publish="a/#")
    for no_filter in ("a#", "", "a\0", 7):
        with pytest.raises(ValueError, match="no topic filter"):
            rights.of("dev-1", publish=[no_filter])
    with pytest.raises(ValueError, match="shared subscription"):
        rights.of("dev-1", subscribe=["$share/g/a"])


def test_a_template_takes_one_placeholder_and_no_dangerous_name() -> None:
    assert rights.template("devices/{client_id}/#", "dev-1") == "devices/dev-1/#"
    assert rights.template("a/dev-{client_id}/{client_id}", "x") == "a/dev-x/x"
    assert rights.template("a/#", "anything at all") == "a/#"  # not used, not judged
    assert rights.template("a/{", "x") == "a/{"
    for dangerous in ("#", "+", "a/b", "a b", "a\0", "", "é", "x" * 129, 'a"', "a\\", None, 7):
        with pytest.raises(ValueError, match="cannot be a client id"):
            rights.template("devices/{client_id}/#", dangerous)  # type: ignore[arg-type]
    for misspelt in ("{clientid}", "{id}", "${client_id}", "{client_id.x}"):
        with pytest.raises(ValueError, match=r"the only one is \{client_id\}"):
            rights.template(f"devices/{misspelt}/#", "dev-1")
    for reserved in ("$SYS", "$share", "$x"):
        with pytest.raises(ValueError, match="the broker's own"):
            rights.template("{client_id}/#", reserved)
        assert rights.template("devices/{client_id}/#", reserved) == f"devices/{reserved}/#"
    with pytest.raises(ValueError, match="topics are texts"):
        rights.template(7, "dev-1")  # type: ignore[arg-type]


@given(st.from_regex(r"[!-~]{1,8}", fullmatch=True), st.from_regex(r"[!-~]{1,8}", fullmatch=True))
def test_two_devices_never_share_what_a_template_gives(one: str, other: str) -> None:
    if one != other and rights.usable_client_id(one) and rights.usable_client_id(other):
        first, second = (rights.template("devices/{client_id}/#", each) for each in (one, other))
        assert valid_filter(first)
        assert not covers(first, second)
        assert first.count("/") == 2


def test_a_template_is_filled_when_a_device_is_registered(lab: Lab) -> None:
    for name in ("dev-1", "dev-2"):
        device = lab.register(name, publish=["devices/{client_id}/#"], subscribe=["cmd/{client_id}/+", "all"])
        assert device.publish == (f"devices/{name}/#",)
        assert device.subscribe == (f"cmd/{name}/+", "all")
    accepted = lab.validator.validate(lab.token("dev-1"), client_id="dev-1")
    assert rights.of(accepted) == rights.of("dev-1", subscribe=["cmd/dev-1/+", "all"])
    assert not accepted.permissions.may_publish("devices/dev-2/up")
    assert lab.register("dev-3").publish == ("devices/dev-3/#",)
    with pytest.raises(RegistrationRefused, match=r"the only one is \{client_id\}"):
        lab.register("dev-4", publish=["devices/{clientid}/#"])
    with pytest.raises(RegistrationRefused, match="the broker's own"):
        lab.register("$SYS", subscribe=["{client_id}/#"])
