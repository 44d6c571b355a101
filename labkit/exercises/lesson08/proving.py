"""Compare a token with the certificate of the connection that it came over."""

from typing import Any, Final

from labkit.exercises import AnswerFailed, Result, Wrong, brief, exercise, not_yet, right, try_answer
from labkit.exercises.lesson08.carried import thumbprint
from labkit.exercises.trying import describe

__all__ = ["fits"]

#: Certificates are bytes in DER; the check compares sums of them, so any bytes will do.
OWNERS: Final = b"0\x82 the certificate of the owner"
THIEFS: Final = b"0\x82 the certificate of the thief"
BOUND: Final = {"client_id": "sensor-1", "cnf": {"x5t#S256": thumbprint(OWNERS)}}
FREE: Final = {"client_id": "sensor-1"}
BY_KEY: Final = {"client_id": "sensor-1", "cnf": {"jkt": thumbprint(OWNERS)}}
EMPTY: Final[dict[str, Any]] = {"client_id": "sensor-1", "cnf": {}}

#: Claims, certificate, verdict, and what to say to who decides otherwise.
CASES: Final[tuple[tuple[dict[str, Any], bytes | None, bool, str], ...]] = (
    (BOUND, OWNERS, True, "the owner, with the right certificate, stays out."),
    (BOUND, THIEFS, False, "a thief with a certificate of their own gets in: is it the one in the token?"),
    (BOUND, None, False, "who has no certificate at all gets in with a token that is bound to one."),
    (FREE, None, True, "a token that is bound to nothing stays out: it needs no certificate."),
    (
        FREE,
        OWNERS,
        True,
        "a token without cnf stays out, as there is a certificate: nobody has asked for it.",
    ),
    (BY_KEY, OWNERS, False, "a token that is bound to something else gets in: a jkt is no x5t#S256."),
    (BY_KEY, None, False, "a token with a jkt gets in without any proof: it is bound, though not to this."),
    (EMPTY, None, False, "a token with an empty cnf gets in: bound to nothing that you know is a no."),
)


def _made(
    free: bool = True,
    without: bool = False,
    same: Any = lambda cnf, der: cnf.get("x5t#S256") == thumbprint(der),
) -> Any:
    """Functions like the solution, for wrong answers."""

    def fits(claims: dict[str, Any], certificate: bytes | None) -> Any:
        if "cnf" not in claims:
            return free
        return without if certificate is None else same(claims["cnf"], certificate)

    return fits


@exercise(
    question=(
        "Complete the function: it takes the claims of a good token, and the client's certificate or None, "
        "and returns True if the token may be used on this connection, and False if not."
    ),
    cell="""
def fits(claims, certificate):
    if "cnf" not in claims:
        return ____
    if certificate is None:
        return ____
    return ____


ex.fits.check(fits)
""",
    solution="""
def fits(claims, certificate):
    if "cnf" not in claims:
        return True
    if certificate is None:
        return False
    return claims["cnf"].get("x5t#S256") == thumbprint(certificate)


ex.fits.check(fits)
""",
    given="from labkit.exercises.lesson08 import thumbprint",
    wrong=(
        Wrong(says="a thief with a certificate of their own", answer=_made(same=lambda cnf, der: True)),
        Wrong(says="who has no certificate at all", answer=_made(without=True)),
        Wrong(says="a token that is bound to nothing", answer=_made(free=False)),
        Wrong(says="the owner, with the right certificate", answer=_made(same=lambda cnf, der: False)),
        Wrong(
            says="a jkt is no x5t#S256",
            answer=_made(same=lambda cnf, der: thumbprint(der) in cnf.values()),
        ),
        Wrong(
            says="it falls over a token with jkt",
            answer=_made(same=lambda cnf, der: cnf["x5t#S256"] == thumbprint(der)),
        ),
        Wrong(
            says="name 'thumb' is not defined",
            answer=_made(same=lambda cnf, der: thumb(der)),  # type: ignore[name-defined]  # noqa: F821
        ),
        Wrong(says="True or False is wanted", answer=_made(same=lambda cnf, der: thumbprint(der))),
        Wrong(says="hand over the function itself", answer=True),
    ),
    hints=(
        "A token without cnf is an ordinary one. One with cnf is good only together with its proof.",
        'What has to be equal: the member "x5t#S256" of cnf, and the thumbprint of the certificate.',
        'True, False, and claims["cnf"].get("x5t#S256") == thumbprint(certificate).',
    ),
    why=(
        "the broker has to compare, and to refuse where the two differ (RFC 8705 §3). The certificate comes "
        "from TLS, whose handshake proves that the client has its key; never from a header that it sends."
    ),
)
def fits(answer: Any) -> Result:
    if not callable(answer):
        return not_yet("hand over the function itself, without calling it: check(fits).")
    for claims, certificate, wanted, message in CASES:
        bound = ", ".join(claims["cnf"]) or "an empty cnf" if "cnf" in claims else "no cnf"
        what = f"a token with {bound}, {'with' if certificate else 'without'} a certificate"
        copied = {name: dict(value) if type(value) is dict else value for name, value in claims.items()}
        try:
            verdict = try_answer(answer, copied, certificate)
        except AnswerFailed as failed:
            return not_yet(f"it falls over {what}: {describe(failed.__cause__)}.")
        if type(verdict) is not bool:
            return not_yet(f"for {what} it returns {brief(verdict)}: True or False is wanted.")
        if verdict is not wanted:
            return not_yet(message)
    return right("the owner gets in, a thief does not; and a token that is bound to nothing needs no proof.")
