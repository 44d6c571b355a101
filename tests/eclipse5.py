"""Run Eclipse's MQTT 5 interoperability tests against the lab's broker.

    python tests/eclipse5.py CLONE                  all of them, as a Markdown table
    python tests/eclipse5.py CLONE test_basic ...   these only, with what they print

CLONE is a clone of https://github.com/eclipse-paho/paho.mqtt.testing, and stays as it is: what is changed is
changed in memory.  Every CONNECT gets a user name and an access token, and a space in a client identifier
becomes a hyphen, since no token is issued to such a name.  Each test has a process, a lab and a time-out of
its own.  The exit status is 1 if a result is not the one that CONTRIBUTING.md has.
"""

import argparse
import importlib
import logging
import subprocess
import sys
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from labkit import Lab
from labkit.broker import Limits
from labkit.broker.dialect5 import LIMITATIONS

#: Seconds for one test; the longest sleep for half a minute.
TIMEOUT = 90
#: The clients of the tests, and the topic filters that they may publish and subscribe to.
RIGHTS = {"myclientid": ["#"], "myclientid2": ["#"], "clean-retained": ["#"]}
#: Where it is not these: this test wants to be refused ``test/nosubscribe``.
NARROWER = {"test_subscribe_failure": {"myclientid": ["TopicA/#"]}}
#: What the broker puts up with where it is not the usual: this test wants to be told a keep alive of 60 s.
LIMITS = {"test_server_keep_alive": Limits(max_keep_alive=60)}


def limit(feature: str) -> str:
    """The limitation of that name, with how a client learns of it."""
    row = next(row for row in LIMITATIONS if row.feature == feature)
    return f"{row.feature}: {row.told_by} ({row.spec})"


#: The tests that fail, and why.
KNOWN = {
    "test_assigned_clientid": limit("a client identifier made up by the server"),
    "test_dollar_topics": limit("publishing to topics that begin with `$`, whatever the token allows")
    + "; it would pass, if its client could read a PUBACK with a Reason String (§3.4.2.2.2)",
    "test_server_topic_alias": limit("topic aliases, in both directions"),
    "test_shared_subscriptions": limit("shared subscriptions"),
    "test_subscribe_failure": "none: the answer is SUBACK 0x87 Not authorized (§3.9.3), "
    "and the only failure that its client can read is 0x80",
    "test_zero_length_clientid": limit("a client identifier made up by the server"),
}


def suite(clone: Path) -> Any:
    """The module with the tests."""
    sys.path.insert(0, str(clone / "interoperability"))
    return importlib.import_module("client_test5")


def prepare(module: Any, lab: Lab) -> None:
    """Tell the tests where the broker is, and give every CONNECT a token."""
    logging.getLogger().setLevel(logging.ERROR)
    module.host, module.port, module.topic_prefix = lab.mqtt.host, lab.mqtt.port, "client_test5/"
    client = module.mqtt_client.Client
    connect = client.connect

    def with_token(self: Any, **options: Any) -> Any:
        if self.clientid:
            self.clientid = self.clientid.replace(b" ", b"-")
        name = (self.clientid or b"myclientid").decode()
        return connect(self, username=name, password=lab.token(name).encode(), **options)

    client.connect = with_token


def run(clone: Path, test: str) -> bool:
    """Run one test in this process; whether it passed."""
    module = suite(clone)
    with Lab(limits=LIMITS.get(test)) as lab:
        for client_id, filters in (RIGHTS | NARROWER.get(test, {})).items():
            lab.register(client_id, publish=filters, subscribe=filters)
        prepare(module, lab)
        try:
            module.Test.setUpClass()
            # One test tells its failure by returning False, which unittest would not notice.
            return getattr(module.Test(test), test)() is not False
        except Exception:
            traceback.print_exc()
            return False


def in_a_process(clone: Path, test: str, *, quiet: bool) -> str:
    """The same in a process of its own, as a word."""
    output = subprocess.DEVNULL if quiet else None
    command = [sys.executable, __file__, "--here", str(clone), test]
    try:
        ended = subprocess.run(command, timeout=TIMEOUT, stdout=output, stderr=output, check=False)
    except subprocess.TimeoutExpired:
        return "time-out"
    return "fails" if ended.returncode else "passes"


def rows(clone: Path, chosen: list[str]) -> Iterator[tuple[str, str, str]]:
    """Test, result, explanation."""
    tests = chosen or sorted(name for name in dir(suite(clone).Test) if name.startswith("test_"))
    with ThreadPoolExecutor(4) as pool:  # they sleep more than they work
        results = pool.map(partial(in_a_process, clone, quiet=not chosen), tests)
        for test, result in zip(tests, results, strict=True):
            yield test, result, "" if result == "passes" else KNOWN.get(test, "not known")


def main() -> bool:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("clone", type=Path)
    parser.add_argument("tests", nargs="*")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        return all(run(arguments.clone, test) for test in arguments.tests)
    expected = True
    print("| test | result | the limit that explains it |\n|---|---|---|")
    for test, result, why in rows(arguments.clone, arguments.tests):
        expected &= result == ("fails" if test in KNOWN else "passes")
        print(f"| `{test}` | {result} | {why} |", flush=True)
    return expected


if __name__ == "__main__":
    sys.exit(not main())
