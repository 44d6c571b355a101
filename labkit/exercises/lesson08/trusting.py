"""Make the TLS settings of a client that hands its token to the broker and to nobody else."""

import ssl
from typing import Any, Final

from labkit.exercises import AnswerFailed, Result, Wrong, cannot_tell, exercise, not_yet, right, try_answer
from labkit.tls import Authority

__all__ = ["context"]

HERE: Final = "127.0.0.1"


def _settings(
    file: bool = True, name: bool = True, verify: ssl.VerifyMode = ssl.CERT_REQUIRED
) -> Any:  # for wrong answers
    def context(ca_file: str) -> ssl.SSLContext:
        found = ssl.create_default_context(cafile=ca_file if file else None)
        found.check_hostname = name
        found.verify_mode = verify
        return found

    return context


@exercise(
    question=(
        "Complete the function: with the settings that it returns, a client shakes hands with a broker whose "
        "certificate is signed by the authority in ca_file and names the broker, and with no other."
    ),
    cell="""
def context(ca_file):
    settings = ssl.create_default_context(cafile=____)
    settings.check_hostname = ____
    settings.verify_mode = ____
    return settings


ex.context.check(context)
""",
    solution="""
def context(ca_file):
    settings = ssl.create_default_context(cafile=ca_file)
    settings.check_hostname = True
    settings.verify_mode = ssl.CERT_REQUIRED
    return settings


ex.context.check(context)
""",
    given="import ssl",
    wrong=(
        Wrong(says="refuses the broker itself", answer=_settings(file=False)),
        Wrong(says="made for another host", answer=_settings(name=False)),
        Wrong(says="anybody at all", answer=_settings(name=False, verify=ssl.CERT_NONE)),
        Wrong(says="then any host can be the broker", answer=_settings(name=False, verify=ssl.CERT_OPTIONAL)),
        Wrong(says="write what you mean", answer=_settings(verify=ssl.CERT_OPTIONAL)),
        Wrong(
            says="ca_file, without quotes",
            answer=lambda ca_file: ssl.create_default_context(cafile="ca_file"),
        ),
        Wrong(says="your code raised ValueError", answer=_settings(verify=ssl.CERT_NONE)),
        Wrong(says="return the settings", answer=lambda ca_file: None),
        Wrong(says="for a server", answer=lambda ca_file: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)),
        Wrong(says="hand over the function itself", answer=True),
    ),
    hints=(
        "Three questions: whom do I trust, is it the host that I asked for, and must there be a certificate?",
        "The authority's file comes as an argument. The name is to be checked: that is a yes.",
        "ca_file, True, and ssl.CERT_REQUIRED.",
    ),
    why=(
        "the last two are what Python sets by itself: they are written out here, since programs are full of "
        "lines that switch them off. RFC 6750 §5.3 asks for a check of the whole chain."
    ),
)
def context(answer: Any) -> Result:
    if not callable(answer):
        return not_yet("hand over the function itself, without calling it: check(context).")
    ours, strange = Authority(), Authority()
    try:
        settings = try_answer(answer, ours.ca_file)
        if type(settings) is not ssl.SSLContext:
            return not_yet("return the settings, an ssl.SSLContext.")
        return _judged(settings, ours, strange)
    except AnswerFailed as failed:
        if type(failed.__cause__) is FileNotFoundError:
            return not_yet("there is no such file here: use the argument ca_file, without quotes.")
        raise
    finally:
        ours.close()
        strange.close()


def _judged(settings: ssl.SSLContext, ours: Authority, strange: Authority) -> Result:
    if settings.protocol is ssl.PROTOCOL_TLS_SERVER:
        return not_yet("these are settings for a server: a client needs others.")
    if _hands_shaken(settings, strange, HERE):
        return not_yet(
            "it takes anybody at all for the broker: a certificate that nobody has signed will do."
        )
    if not _hands_shaken(settings, ours, HERE):
        return not_yet("it refuses the broker itself: whom does it trust? The authority is in ca_file.")
    if _hands_shaken(settings, ours, "broker.example"):
        return not_yet(
            "it takes a certificate that was made for another host: then any host can be the broker."
        )
    if settings.verify_mode is not ssl.CERT_REQUIRED:
        return not_yet("this works the same in a client, but write what you mean: ssl.CERT_REQUIRED.")
    if _hands_shaken(ssl.create_default_context(cafile=ours.ca_file), strange, HERE):
        return cannot_tell("TLS does not work on this machine as it should.")
    return right("hands shaken with the broker; not with a stranger, nor with another host's certificate.")


def _hands_shaken(settings: ssl.SSLContext, server: Authority, host: str) -> bool:
    """Whether a client with these settings, who wants ``host``, finishes the handshake, in memory."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        client = settings.wrap_bio(to_client, to_server, server_hostname=host)
        other = server.server_context().wrap_bio(to_server, to_client, server_side=True)
        for _ in range(10):
            done = 0
            for side in (client, other):
                try:
                    side.do_handshake()
                    done += 1
                except ssl.SSLWantReadError:
                    """It needs what the other side says next."""
            if done == 2:
                return True
    except (ssl.SSLError, ValueError):
        return False
    return False
