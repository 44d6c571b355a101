"""AWS IoT Core: a policy, with resources such as ``arn:aws:iot:eu-west-1:123456789012:topic/devices/a/*``.

Rights and their resources: ``iot:Connect`` on ``client/``; ``iot:Publish`` (with retain also
``iot:RetainPublish``) and ``iot:Receive`` on ``topic/``; ``iot:Subscribe`` on ``topicfilter/``.  In a
resource ``*`` is any number of characters, slashes included, ``?`` is one, and MQTT's ``+`` and ``#`` are
characters like any other.  A message reaches a device when both Subscribe and Receive let it.

Sources: docs.aws.amazon.com/iot/latest/developerguide: iot-policy-actions, iot-action-resources,
pub-sub-policy ("Using wildcard characters"), iot-policy-variables (``${*}``, ``${?}``, ``${$}``).
"""

import json
import re
from typing import Any

from labkit.rights.globs import Glob, publish_globs, receive_globs, subscribe_globs
from labkit.rights.grant import Rights
from labkit.rights.rendered import Action, Rendered

__all__ = ["allows", "aws"]

#: Characters of a policy without its white space (AWS IoT Core quotas).
_LONGEST = 2048
LIMITS = (
    "The policy hangs on a certificate, or comes from a custom authorizer: it is not in the access token.",
    "AWS takes topics of at most 256 bytes and seven slashes, and keeps topics that begin with $ to itself.",
    "Shared subscriptions are not rendered: they need a resource of their own.",
)
_START = "a wildcard at the start would take in topics that begin with $ there"
_PLUS_OUT = "+ is one level, and a star there is any number of them"
_AS_IT_STANDS = "its wildcard is said as it stands: a filter inside it cannot be subscribed to"
_WIDE = "Receive has a star for the + and is wider by itself; what arrives is only what Subscribe has let in"

_SPECIAL = {"*": "${*}", "?": "${?}", "$": "${$}"}
_PIECE = re.compile(r"\$\{([*?$])\}|(\*)|(\?)|(.)", re.DOTALL)


def aws(rights: Rights, *, region: str, account: str, partition: str = "aws") -> Rendered:
    """The rights as a policy for AWS IoT Core.

    Args:
        rights: of one device.
        region: for example ``"eu-west-1"``.
        account: the twelve digits of the account.
        partition: ``"aws"``, ``"aws-cn"`` or ``"aws-us-gov"``.

    Raises:
        ValueError: no region, account or partition; or the policy is longer than AWS takes.
    """
    if not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d{1,2}", region, re.ASCII):
        raise ValueError(f"{region!r:.40} is no AWS region: write one like 'eu-west-1'")
    if not re.fullmatch(r"\d{12}", account, re.ASCII):
        raise ValueError("an AWS account is a string of twelve digits")
    if partition not in ("aws", "aws-cn", "aws-us-gov"):
        raise ValueError("an AWS partition is aws, aws-cn or aws-us-gov")
    arn = f"arn:{partition}:iot:{region}:{account}:"
    publish: list[str] = []
    subscribe: list[str] = []
    receive: list[str] = []
    notes: list[str] = []
    for topic_filter in rights.publish:
        globs = publish_globs(topic_filter)
        publish += [arn + "topic/" + _written(glob) for glob in globs]
        if not globs:
            why = _START if topic_filter[0] in "+#" else _PLUS_OUT
            notes.append(f"publish {topic_filter!r} is left out: {why}.")
    for topic_filter in rights.subscribe:
        subscribe += [arn + "topicfilter/" + _written(glob) for glob in subscribe_globs(topic_filter)]
        receive += [arn + "topic/" + _written(glob) for glob in receive_globs(topic_filter)]
        if "+" in topic_filter.split("/") or topic_filter == "#":
            notes.append(f"subscribe {topic_filter!r} is narrower: {_AS_IT_STANDS}. {_WIDE}.")
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            _statement(["iot:Connect"], [arn + "client/" + _written((rights.client_id,))]),
            *([_statement(["iot:Publish", "iot:RetainPublish"], publish)] if publish else []),
            *([_statement(["iot:Subscribe"], subscribe)] if subscribe else []),
            *([_statement(["iot:Receive"], receive)] if receive else []),
        ],
    }
    if len(json.dumps(policy, separators=(",", ":"), ensure_ascii=False)) > _LONGEST:
        raise ValueError(f"a policy has at most {_LONGEST} characters: name fewer topics, or use wildcards")
    return Rendered(
        format="AWS IoT Core policy",
        document=policy,
        claims={},
        notes=tuple(notes),
        limits=LIMITS,
        _allows=allows,
    )


def allows(document: dict[str, Any], action: Action, topic: str) -> bool:
    """Whether the policy lets this through, in the region and account that its own resources name.

    ``receive`` is the right ``iot:Receive`` alone: a message also needs a subscription.
    """
    wanted = {"publish": "iot:Publish", "subscribe": "iot:Subscribe", "receive": "iot:Receive"}[action]
    kind = "topicfilter/" if action == "subscribe" else "topic/"
    for statement in document["Statement"]:
        if statement["Effect"] == "Allow" and wanted in statement["Action"]:
            for resource in statement["Resource"]:
                pattern = resource.split(":", 5)[5]
                if pattern.startswith(kind) and _fits(topic, pattern.removeprefix(kind)):
                    return True
    return False


def _statement(actions: list[str], resources: list[str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": list(dict.fromkeys(resources))}


def _written(glob: Glob) -> str:
    return "*".join("".join(_SPECIAL.get(letter, letter) for letter in text) for text in glob)


def _fits(text: str, pattern: str) -> bool:
    written = []
    for literal, star, one, letter in _PIECE.findall(pattern):
        written.append(".*" if star else "." if one else re.escape(literal or letter))
    return re.fullmatch("".join(written), text, re.DOTALL) is not None
