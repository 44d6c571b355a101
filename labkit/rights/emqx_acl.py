"""EMQX: rules in the claim ``acl`` of a JWT, the list format of EMQX 5.5 and later.

The first rule that fits decides.  When none fits, EMQX goes on to its other sources, and in the end to a
default that is "allow" as it comes: so the last rule here denies everything.

A rule is compared with what the client wants level by level, as text: for a PUBLISH that is matching, and
right.  A SUBSCRIBE brings a filter, too, and ``+`` in the rule fits any one level of it, also a ``#``; a
wildcard at the start of the rule also fits a level that begins with ``$``.  Where that would be wider than
the grant, the rule is written with ``eq``: then it fits this one filter and no other.

Sources: docs.emqx.com, "Access Control List" (fields and their values), "Authorization" (order, ``eq``,
placeholders); the comparison as in EMQX's ``emqx_authz_rule.erl`` and ``emqx_topic.erl``, read and not run.
"""

from typing import Any

from labkit.rights.grant import Rights
from labkit.rights.rendered import Action, Rendered

__all__ = ["allows", "emqx"]

LIMITS = (
    "The rules live as long as the token: EMQX reads them at CONNECT, and they end with exp.",
    "They come before EMQX's other sources, and the last one denies the rest: no other source is asked.",
    "A shared subscription is judged by the filter inside, as it is here.",
)
_START = "a wildcard at the start of a rule takes in topics that begin with $ there"
_PLUS = (
    "+ in a rule also fits a # in the wanted filter there, so it is said with eq: this filter and no other"
)
_TAKEN_OFF = "such a prefix is taken off there before the rules are asked"
_TEMPLATE = "it has ${ in it, which begins a placeholder there"
_TEMPLATE_EQ = "it has ${ or begins with eq, so it is said with eq: this filter and no other"


def emqx(rights: Rights) -> Rendered:
    """The rights as an ``acl`` claim for EMQX."""
    rules: list[dict[str, Any]] = []
    notes: list[str] = []
    for topic_filter in rights.publish:
        if _is_plain(topic_filter):
            rules.append(_rule("allow", "publish", _literal(topic_filter)))
        elif topic_filter[0] in "+#":
            notes.append(f"publish {topic_filter!r} is left out: {_START}.")
        elif _is_special(topic_filter):
            notes.append(f"publish {topic_filter!r} is left out: {_TEMPLATE}.")
        else:
            rules.append(_rule("allow", "publish", topic_filter))
    for topic_filter in rights.subscribe:
        if _inside(topic_filter) != topic_filter:
            notes.append(f"subscribe {topic_filter!r} is left out: {_TAKEN_OFF}.")
            continue
        why = "" if _is_plain(topic_filter) else _why_eq(topic_filter)
        if why:
            notes.append(f"subscribe {topic_filter!r} is narrower: {why}.")
        rules.append(_rule("allow", "subscribe", f"eq {topic_filter}" if why else _literal(topic_filter)))
    rules = _each_once(rules)
    rules.append(_rule("deny", "all", "#"))
    return Rendered(
        format="EMQX acl claim",
        document=rules,
        claims={"acl": rules},
        notes=tuple(notes),
        limits=LIMITS,
        _allows=allows,
    )


def allows(document: list[dict[str, Any]], action: Action, topic: str) -> bool:
    """Whether EMQX lets this through; what no rule decides counts as allowed, EMQX's own default."""
    wanted = "publish" if action == "publish" else "subscribe"
    if wanted == "subscribe":
        topic = _inside(topic)
    for rule in document:
        if rule["action"] in (wanted, "all") and _fits(topic, rule["topic"]):
            return bool(rule["permission"] == "allow")
    return True


def _rule(permission: str, action: str, topic: str) -> dict[str, Any]:
    return {"permission": permission, "action": action, "topic": topic}


def _is_plain(topic_filter: str) -> bool:
    return "+" not in topic_filter and "#" not in topic_filter


def _is_special(topic_filter: str) -> bool:
    return "${" in topic_filter or topic_filter.startswith("eq ")


def _literal(topic_filter: str) -> str:
    return f"eq {topic_filter}" if _is_special(topic_filter) else topic_filter


def _why_eq(topic_filter: str) -> str:
    """Why a filter with wildcards cannot be a rule for SUBSCRIBE as it stands; nothing if it can."""
    levels = topic_filter.split("/")
    if _is_special(topic_filter):
        return _TEMPLATE_EQ
    if levels[0] in ("+", "#"):
        return _START
    # The # of a wanted filter is its last level: it meets a + of the rule, and then fits, where nothing
    # follows this + but perhaps a #.
    return _PLUS if (levels[-2] if levels[-1] == "#" else levels[-1]) == "+" else ""


def _each_once(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({(rule["action"], rule["topic"]): rule for rule in rules}.values())


def _inside(topic_filter: str) -> str:
    """What EMQX takes off a filter before it looks at the rules."""
    if topic_filter.startswith("$share/") and topic_filter.count("/") >= 2:
        return topic_filter.split("/", 2)[2]
    for prefix in ("$queue/", "$exclusive/"):
        if topic_filter.startswith(prefix):
            return topic_filter.removeprefix(prefix)
    return topic_filter


def _fits(topic: str, rule: str) -> bool:
    """``emqx_topic:match`` on words: no rule about ``$`` there, and a wildcard is a word like any other."""
    if rule.startswith("eq "):
        return topic == rule.removeprefix("eq ")
    wanted, allowed = topic.split("/"), rule.split("/")
    while wanted and allowed and allowed != ["#"] and (allowed[0] == wanted[0] or allowed[0] == "+"):
        del wanted[0], allowed[0]
    return allowed == ["#"] or (not wanted and not allowed)
