"""Topic filters as patterns whose star runs over any characters, slashes included.

RabbitMQ and AWS have such patterns.  A pattern here is a tuple of literal texts: between two of them stands a
star.  ``("a/", "")`` is ``a/*``, ``("a",)`` is ``a``.

``+`` is one level and a star is any number of them, so most filters with ``+`` have no pattern.  An exception
is ``+`` just before ``#``: ``a/+/#`` is everything that begins with ``a/``.
"""

from typing import TypeAlias

__all__ = ["Glob", "publish_globs", "receive_globs", "subscribe_globs"]

Glob: TypeAlias = tuple[str, ...]


def publish_globs(topic_filter: str) -> list[Glob]:
    """Patterns for exactly the topics of ``topic_filter``; none at all if no patterns say that.

    A wildcard at the start has none, as it does not reach topics that begin with ``$``
    (MQTT 3.1.1 §4.7.2), and a star does.
    """
    levels = topic_filter.split("/")
    if levels[0] in ("+", "#"):
        return []
    if levels[-1] != "#":
        return [] if "+" in levels else [(topic_filter,)]
    fixed = levels[:-1]
    pluses = 0
    while fixed[-1] == "+":
        fixed.pop()
        pluses += 1
    if "+" in fixed:
        return []
    start = "/".join(fixed)
    if pluses:  # so many levels at least: so many slashes
        return [(start + "/", *["/"] * (pluses - 1), "")]
    return _with_all_below(start)


def subscribe_globs(topic_filter: str) -> list[Glob]:
    """Patterns for *filters* inside ``topic_filter``: exactly these, unless it has a ``+`` or is ``#``.

    ``+`` becomes a literal plus sign: then ``a/+`` can be subscribed to, and ``a/b``, which is inside it,
    cannot.  Narrower, but never wider.
    """
    if topic_filter == "#" or not topic_filter.endswith("/#"):
        return [(topic_filter,)]
    return _with_all_below(topic_filter[:-2])


def receive_globs(topic_filter: str) -> list[Glob]:
    """Patterns for at least the topics of ``topic_filter``; for more than these where it has a ``+``."""
    if topic_filter == "#":
        return [("", "")]
    below = topic_filter.endswith("/#")
    parts = [""]
    for number, level in enumerate(topic_filter.removesuffix("/#").split("/")):
        parts[-1] += "/" if number else ""
        if level == "+":
            parts.append("")
        else:
            parts[-1] += level
    if not below or not parts[-1]:  # a pattern that ends in a star takes in what is below already
        return [tuple(parts)] if any(parts) or len(parts) > 1 else _with_all_below("")
    return [tuple(parts), (*parts[:-1], parts[-1] + "/", "")]


def _with_all_below(start: str) -> list[Glob]:
    below = (start + "/", "")
    return [(start,), below] if start else [below]  # there is no topic without a character
