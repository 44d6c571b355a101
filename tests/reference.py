"""The reference, made from the code: checks, reasons, scopes, options, commands, and the conformance list.

    python tests/reference.py            print it
    python tests/reference.py --write    store it as notebooks/REFERENCE.md

Nothing on that page is written by hand but the sentences between the tables, so it cannot grow old: a test
compares it with what this program makes.
"""

import argparse
import contextlib
import csv
import inspect
import re
import socket
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
import typer
from test_conformance import PROOFS

from labkit import Device, Lab, TokenRejected, TokenValidator, forge
from labkit.broker import Limits
from labkit.broker.dialect5 import LIMITATIONS
from labkit.broker.reasons import REASONS
from labkit.broker.upgrade import HEAD_LIMIT, PATH, REFUSALS
from labkit.cli import app
from labkit.clock import Clock
from labkit.tokens import CHECKS, COMBINED_CHECKS, INTROSPECTION_CHECKS, IntrospectionClient
from labkit.tokens.jwks import JwksCache

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "notebooks" / "REFERENCE.md"

INTRODUCTION = """\
# Reference

Made from the code by `python tests/reference.py --write`; a test compares the two. Words are explained in the
[lessons](00-start-here.ipynb).

Contents: [checks](#checks) · [reasons of a refusal](#reasons-of-a-refusal) · [MQTT 5](#mqtt-5) ·
[WebSocket](#websocket) · [scopes](#scopes) ·
[options](#options) · [commands](#commands) · [conformance](#conformance)"""

CHECKS_TEXT = """\
The broker walks this table from the top and stops at the first check that fails. *lab* marks a rule of
ours. Mode `jwt` uses the rows marked **j**, `introspection` those marked **i**, `both` those marked **b**."""

REASONS_TEXT = """\
The reason goes into the broker's record (`connect.refused`). The device gets a code: the return code of
CONNACK in MQTT 3.1.1 (§3.2.2.3), the reason code in MQTT 5 (§3.2.2.2)."""

MQTT5_TEXT = """\
What the broker does not do of MQTT 5, and how a client hears of it:"""

WEBSOCKET_TEXT = f"""\
The path is `{PATH}`, the subprotocol `mqtt`. The token comes in `Authorization: Bearer`, or in CONNECT as
over TCP, and never in both. A request head has at most {HEAD_LIMIT} bytes, and one line of it 8192: some 8000
for a token. A request that is turned away gets a status and a sentence; the reason goes into the broker's
record (`upgrade.refused`)."""

SCOPES = """\
| scope | right |
|---|---|
| `mqtt.connect` | to connect at all; without it CONNACK 5 |
| `mqtt.publish:FILTER` | to publish, and to leave a will, on every topic of FILTER |
| `mqtt.subscribe:FILTER` | to subscribe to FILTER and to filters inside it, and to receive from its topics |

A topic filter with a space, a quotation mark, a backslash or a non-ASCII character cannot be part of a
scope (RFC 6749 §3.3). A filter without `$` at its beginning gives no right to topics that begin with `$`
(MQTT 3.1.1 §4.7.2)."""

CONFORMANCE_TEXT = """\
Each requirement is proved by a test that carries its id, or left out with the reason. The wording is a
summary: read the section before you quote it."""


def reference() -> str:
    """The whole page."""
    parts = [
        INTRODUCTION,
        f"## Checks\n\n{CHECKS_TEXT}\n\n{table(('check', 'in', 'rule', 'asked for by', 'mode'), checks())}",
        f"## Reasons of a refusal\n\n{REASONS_TEXT}\n\n"
        + table(("reason", "3.1.1", "5", "what to do"), reasons()),
        f"## MQTT 5\n\n{MQTT5_TEXT}\n\n"
        + table(
            ("left out", "told by", "MQTT 5"), ((row.feature, row.told_by, row.spec) for row in LIMITATIONS)
        ),
        f"## WebSocket\n\n{WEBSOCKET_TEXT}\n\n"
        + table(
            ("status", "reason", "what to do"), ((str(r.status), f"`{r.reason}`", r.words) for r in REFUSALS)
        ),
        f"## Scopes\n\n{SCOPES}",
        "## Options\n\n" + "\n\n".join(options()),
        "## Commands\n\n" + "\n\n".join(commands()),
        f"## Conformance\n\n{CONFORMANCE_TEXT}\n\n"
        + table(("id", "standard", "level", "requirement", "proved in, or left out because"), conformance()),
    ]
    return "\n\n".join(parts) + "\n"


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def checks() -> Iterator[tuple[str, ...]]:
    """Every row of the three tables of checks, in the order in which they stand there."""
    tables = {"j": CHECKS, "i": INTROSPECTION_CHECKS, "b": COMBINED_CHECKS}
    every = dict.fromkeys([*CHECKS, *INTROSPECTION_CHECKS, *COMBINED_CHECKS])
    for row in every:
        used = " ".join(letter for letter, rows in tables.items() if row in rows)
        yield f"`{row.name}`", row.where, row.rule, row.spec, used


def reasons() -> list[tuple[str, ...]]:
    """Every reason with its codes and its hint, as met: from the tables, from forged tokens, from silence."""
    met: dict[str, dict[str, tuple[int, str]]] = {}

    def meet(reason: str, code: int, code5: str, hint: str) -> None:
        met.setdefault(reason, {}).setdefault(hint, (code, code5))

    for row in dict.fromkeys([*CHECKS, *INTROSPECTION_CHECKS, *COMBINED_CHECKS]):
        meet(row.reason, row.return_code, f"0x{row.reason_code:02X}", row.hint)
    for refusal in refusals():
        meet(refusal.reason, refusal.return_code, f"0x{refusal.reason_code:02X}", refusal.hint)
    for name, reason in REASONS.items():
        meet(name, reason.return_code, f"0x{reason.reason_code:02X}", reason.hint)
    return [
        (f"`{reason}`", str(code), code5, hint)
        for reason in sorted(met)
        for hint, (code, code5) in met[reason].items()
    ]


def refusals() -> Iterator[TokenRejected]:
    """What validators really say: to every forged token, and when nobody answers them."""
    with contextlib.closing(Clock()) as clock:
        issuer = forge.Issuer(clock=clock)
        for attack in forge.CATALOGUE:
            if issuer.algorithm not in attack.algorithms:
                continue
            yield from refused(
                issuer.validator(), attack.build(issuer), attack.connects_as or issuer.client_id
            )
        nobody = f"http://127.0.0.1:{closed_port()}"
        silent = TokenValidator(issuer.issuer, issuer.audience, JwksCache(nobody, clock=clock), clock=clock)
        asking = IntrospectionClient(
            nobody, "broker", "a secret", issuer.issuer, issuer.audience, clock=clock
        )
        for validator in (silent, asking):
            yield from refused(validator, issuer.token(), issuer.client_id)
        asking.close()


def refused(validator: Any, token: Any, client_id: str) -> Iterator[TokenRejected]:
    """What the validator raises, if it does."""
    try:
        validator.validate(token, client_id=client_id)
    except TokenRejected as refusal:
        yield refusal


def closed_port() -> int:
    """A port of loopback where nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def options() -> Iterator[str]:
    """What can be set on the classes that people use, from their signatures and docstrings."""
    for owner in (Lab, Lab.register, Device, TokenValidator, IntrospectionClient, JwksCache, Limits):
        told = arguments(inspect.getdoc(owner) or "") or comments(owner)
        parameters = [p for p in inspect.signature(owner).parameters.values() if p.name in told]
        rows = [(f"`{p.name}`", default(p), told[p.name]) for p in parameters]
        yield f"### `{owner.__qualname__}`\n\n{table(('option', 'default', 'meaning'), rows)}"


def arguments(doc: str) -> dict[str, str]:
    """The entries of the ``Args:`` or ``Attributes:`` of a docstring."""
    found: dict[str, str] = {}
    section = re.search(r"^(?:Args|Attributes):\n(.*?)(?=^\S|\Z)", doc, re.MULTILINE | re.DOTALL)
    name = ""
    for line in (section[1] if section else "").splitlines():
        if entry := re.match(r"    (\w+): (.*)", line):
            name = entry[1]
            found[name] = entry[2]
        elif line.strip():
            found[name] += " " + line.strip()
    return {name: " ".join(text.replace("``", "`").split()) for name, text in found.items()}


def comments(owner: type) -> dict[str, str]:
    """What stands behind ``#:`` at the fields of a dataclass and of those it is made from."""
    found: dict[str, str] = {}
    for each in owner.__mro__[-2::-1]:
        for name, text in re.findall(
            r"^    (\w+): [^\n#]*(?:# type[^\n#]*)?#: (.*)$", inspect.getsource(each), re.MULTILINE
        ):
            found[name] = text.replace("``", "`")
    return found


def default(parameter: inspect.Parameter) -> str:
    """What is taken when an option is left out."""
    value = parameter.default
    if value is inspect.Parameter.empty:
        return "" if parameter.kind is inspect.Parameter.VAR_KEYWORD else "required"
    return "" if value is None else f"`{value!r}`" if isinstance(value, str | int | float | tuple) else ""


def commands() -> Iterator[str]:
    """Every command of ``labkit`` with what it takes."""
    group = typer.main.get_command(app)
    context = click.Context(group)
    for name in group.list_commands(context):  # type: ignore[attr-defined]
        command = group.get_command(context, name)  # type: ignore[attr-defined]
        rows = [
            (f"`{' / '.join((*each.opts, *each.secondary_opts))}`", getattr(each, "help", None) or "")
            for each in command.params
            if each.name != "help"
        ]
        text = f"### `labkit {name}`\n\n{(command.help or '').strip()}"
        yield text + (f"\n\n{table(('option', 'meaning'), rows)}" if rows else "")


def conformance() -> Iterator[tuple[str, ...]]:
    """Every requirement, with the files of its tests or the reason why there is none."""
    with (HERE / "conformance.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            proved = ", ".join(f"`{name}`" for name in dict.fromkeys(PROOFS.get(row["id"], [])))
            reason = row["left_out_because"]
            section = f"{row['spec']} §{row['section']}" if row["section"][:1].isdigit() else row["spec"]
            yield row["id"], section, row["level"], row["requirement"], proved or f"left out: {reason}"


def main() -> int:
    """Print the page, or store it."""
    parser = argparse.ArgumentParser(description="Make the reference page from the code.")
    parser.add_argument("--write", action="store_true", help=f"store it as {PAGE.name}")
    options = parser.parse_args()
    page = reference()
    if options.write:
        PAGE.write_text(page, encoding="utf-8", newline="\n")
    else:
        sys.stdout.write(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
