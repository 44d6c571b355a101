"""A fact that a lesson teaches and that stops being true turns CI red.

Each test changes one line in a copy of labkit, runs the lesson that teaches it against the copy, and expects
a cell that fails, or differs from its stored outputs.  A control shows that the copy alone changes nothing.
"""

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from refresh_notebooks import NOTEBOOKS, CellFailed, cannot_run, find, opened, read, same

import labkit

PACKAGE = Path(labkit.__file__).parent


@dataclass(frozen=True)
class Lie:
    """One fact made untrue: what is replaced in which file, and the lesson that must notice."""

    fact: str
    lesson: str
    file: str
    old: str
    new: str


LIES = [
    Lie("a token lives as long as it was registered for", "00", "authserver/access_tokens.py",
        '"exp": issued_at + lifetime,', '"exp": issued_at + 3600,'),
    Lie("a token lives 300 s by default", "01", "lab.py",
        "token_lifetime: int = 300,", "token_lifetime: int = 3600,"),
    Lie("the signature algorithm is ES256, not none", "00", "authserver/keys.py",
        'compact({"alg": algorithm,', 'compact({"alg": "none",'),
    Lie("the signature algorithm is ES256, not RS256", "01", "lab.py",
        'algorithm: str = "ES256",', 'algorithm: str = "RS256",'),
    Lie("the type of a token is at+jwt", "01", "authserver/keys.py",
        '"typ": "at+jwt"})', '"typ": "JWT"})'),
    Lie("scopes are separated by a space", "01", "authserver/access_tokens.py",
        'scope = " ".join(scopes)', 'scope = ",".join(scopes)'),
    Lie("a token names its audience", "01", "authserver/access_tokens.py",
        '"aud": audience,', '"aud": [audience],'),
    Lie("another's token is answered with 5, not 4", "00", "errors.py",
        "    return_code = 5\n", "    return_code = 4\n"),
    Lie("a token that is not believed is answered with 4, not 5", "02", "errors.py",
        "    return_code: ClassVar[int] = 4\n", "    return_code: ClassVar[int] = 5\n"),
    Lie("without keys the answer is 3", "02", "errors.py",
        "    return_code = 3\n", "    return_code = 4\n"),
    Lie("a token is bound to its client", "05", "tokens/binding.py",
        'if case.client_id != case.claims["client_id"]:', "if case.client_id is None:"),
    Lie("two tokens in one CONNECT are one too many", "02", "broker/admission.py",
        "if in_username and in_password:", "if in_username is None:"),
    Lie("names are compared letter by letter, wildcards refused", "05", "broker/admission.py",
        'any(c in "/+#" or', "any("),
    Lie("a token that has just expired is dead", "03", "tokens/claims.py",
        "if not case.now < found + case.policy.leeway:", "if not case.now < found + 30:"),
    Lie("a token needs the type of an access token", "03", "tokens/validator.py",
        'token_types: Iterable[str] = ("at+jwt",),', 'token_types: Iterable[str] = ("at+jwt", "JWT"),'),
    Lie("the broker closes a connection at exp", "04", "broker/gate.py",
        'partial(self.end_from_outside, connection, "expired", "token.expired", guest.token.jti),',
        "lambda: None,"),
    Lie("the will is published at expiry", "04", "broker/conversation.py",
        "        if will is not None:  # §3.1.2.5", "        if will is ...:"),
    Lie("a session outlives the swap of connections", "04", "broker/conversation.py",
        "dialect.connack(bool(session.parent),", "dialect.connack(False,"),
    Lie("a device refreshes at 70 to 90 % of the life", "04", "device.py",
        "self.random.uniform(0.7, 0.9)", "self.random.uniform(0.5, 0.6)"),
    Lie("no token lives longer than an hour", "04", "authserver/refusals.py",
        "MAX_LIFETIME = 3600", "MAX_LIFETIME = 86_400"),
    Lie("a used refresh token is refused", "04", "authserver/families.py",
        "return family.current == fingerprint(refresh_token)", "return True"),
    Lie("a used refresh token ends its family", "04", "authserver/state.py",
        'self.note("refresh.reused", client_id=client.client_id)\n        self.kill(family)',
        'self.note("refresh.reused", client_id=client.client_id)'),
    Lie("a device that polls waits 5 s", "01", "authserver/device_codes.py",
        "INTERVAL = 5\n", "INTERVAL = 6\n"),
    Lie("a failed login is answered with 401", "01", "authserver/refusals.py",
        'return 401 if error == "invalid_client" else 400', "return 400"),
    Lie("a wanted # lies in no + of a grant", "06", "topics.py",
        'if position == len(wanted) or wanted[position] == "#":', "if position == len(wanted):"),
    Lie("a will is asked about at CONNECT", "06", "broker/admission.py",
        "if connect.will is not None and not _may_will(", "if connect.will is ... and not _may_will("),
    Lie("the last rule for EMQX denies the rest", "06", "rights/emqx_acl.py",
        'rules.append(_rule("deny", "all", "#"))', 'rules.append(_rule("allow", "all", "#"))'),
    Lie("keys are published before they sign", "10", "authserver/keys.py",
        "AHEAD = 3\n", "AHEAD = 1\n"),
    Lie("unknown keys cost one request an interval", "10", "tokens/jwks.py",
        "if applies and not 0 <= now - self._asked_at[reason] < self._min_interval:", "if applies:"),
    Lie("without keys a stranger is told to come again", "10", "tokens/jwks.py",
        "if self._trouble is not None:  # it may be a fresh key", "if False:  # it may be a fresh key"),
    Lie("a device waits as long as Retry-After says", "10", "device.py",
        '(getattr(error, "retry_after", None) or 0)', "0"),
    Lie("an answer is used again for 10 s", "07", "lab.py",
        "introspection_ttl: float = 10.0,", "introspection_ttl: float = 30.0,"),
    Lie("a connection that nobody confirms ends after three ttls", "07", "broker/recheck.py",
        "GRACE = 3\n", "GRACE = 300\n"),
    Lie("who is no resource server learns nothing", "07", "authserver/endpoints.py",
        'if claims is not None and claims["aud"] == client.introspects else', "if claims is not None else"),
    Lie("a header and a password are one token too many", "08", "broker/admission.py",
        "if connect.password or _is_jwt((", "if _is_jwt(("),
    Lie("a token in the URL is refused", "08", "broker/upgrade.py",
        'if "access_token" in parse_qs(target.query, keep_blank_values=True):', "if target is None:"),
    Lie("a page from elsewhere may not connect", "08", "broker/upgrade.py",
        "        if not origins:\n", "        if True:\n"),
    Lie("a bound token opens nothing without the key", "08", "tokens/binding.py",
        "case.proved.get(name) == bound[name] for name in known):", "True for name in known):"),
    Lie("who re-authenticates with a bad token is sent away", "09", "broker/enhanced.py",
        'connection.end("not-authorized")', "pass"),
    Lie("a proof answers one nonce", "09", "broker/methods/oauth2_pop.py",
        'expected = {"nonce": nonce, ', 'expected = {'),
    Lie("a narrower token takes the subscription away", "09", "broker/gate.py",
        "connection.session.change_rights(guest.permissions)", "pass"),
    Lie("nobody gets a scope that was not registered", "11", "authserver/scopes.py",
        "if name not in granted and not _inside(name, granted):", "if not name:"),
    Lie("keys are asked for at most once in a while", "11", "tokens/jwks.py",
        "min_interval: float = 30.0,", "min_interval: float = 1e-6,"),
    Lie("a client id holds no plus", "11", "rights/grant.py",
        r'_CLIENT_ID = re.compile(r"[\x21\x24-\x2a\x2c-\x2e', r'_CLIENT_ID = re.compile(r"[\x21\x24-\x2e'),
]  # fmt: skip

_MOMENTS = itertools.count(1_000_000_000, 10)


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the package, for PYTHONPATH."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(PACKAGE, folder / "labkit", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@contextmanager
def told(lie: Lie, folder: Path) -> Iterator[None]:
    """The copy with the lie in it."""
    path = folder / "labkit" / lie.file
    truth = path.read_text(encoding="utf-8")
    assert truth.count(lie.old) == 1, f"{lie.file} does not hold this exactly once any more: {lie.old}"
    write(path, truth.replace(lie.old, lie.new))
    try:
        yield
    finally:
        write(path, truth)


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
    moment = next(_MOMENTS)
    os.utime(
        path, (moment, moment)
    )  # two states within a second, or of one size, are never taken for the same


def first_difference(lesson: str, folder: Path) -> str | None:
    """The first code cell of a lesson that does not do with this package what its notebook says."""
    (path,) = find([lesson])
    stored = read(path)
    with opened(nbformat.from_dict(stored), {"PYTHONPATH": str(folder)}) as kernel:
        (where,) = kernel.run_text("import labkit; print(labkit.__file__)")
        assert Path(where.text.strip()).is_relative_to(folder), "the copy is not what the kernel imports"
        for index, cell in enumerate(stored.cells):
            if cell.cell_type != "code" or cannot_run(cell):
                continue
            try:
                outputs = kernel.run(index)
            except CellFailed as failure:
                return str(failure)
            if not same(outputs, cell.outputs):
                return str(cell.source)
    return None


@pytest.mark.parametrize("lesson", sorted({lie.lesson for lie in LIES}))
def test_a_mere_copy_changes_nothing(lesson: str, copied: Path) -> None:
    assert first_difference(lesson, copied) is None


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.fact)
def test_a_lie_is_noticed(lie: Lie, copied: Path) -> None:
    with told(lie, copied):
        assert first_difference(lie.lesson, copied) is not None, f"lesson {lie.lesson} does not notice it"


WITH_NBVAL = [None, *(lie for lie in LIES if lie.lesson == "00")]


@pytest.mark.parametrize("lie", WITH_NBVAL, ids=lambda lie: lie.fact if lie else "a mere copy")
def test_nbval_as_ci_runs_it_says_so_too(lie: Lie | None, copied: Path) -> None:
    (path,) = find(["00"])
    options = ["-q", "-x", "-p", "no:randomly", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, str(path)]

    def run() -> int:
        environment = {**os.environ, "PYTHONPATH": str(copied)}
        return subprocess.run(command, env=environment, cwd=NOTEBOOKS.parent, capture_output=True).returncode

    if lie is None:
        assert run() == 0
    else:
        with told(lie, copied):
            assert run() == 1
