"""Exercises of notebook 08: a WebSocket's request, six clients, TLS settings, a bound token."""

from labkit.exercises import Choice, Lesson, Question, Quiz, ____
from labkit.exercises.lesson08.carried import (
    FIXED,
    answer_to,
    bearer,
    new_client,
    seen,
    thumbprint,
    upgrade,
)
from labkit.exercises.lesson08.knocking import faults, six_clients
from labkit.exercises.lesson08.proving import fits
from labkit.exercises.lesson08.trusting import context
from labkit.exercises.lesson08.upgrading import login

__all__ = [
    "FIXED",
    "____",
    "answer_to",
    "bearer",
    "ex",
    "new_client",
    "seen",
    "six_clients",
    "thumbprint",
    "upgrade",
]

quiz = Quiz(
    Question(
        "A dashboard in a browser connects by WebSocket. Where does its token travel?",
        (
            Choice(
                "In the password of CONNECT, over wss.",
                "the frames are its own: inside of them it is an MQTT client like any other.",
                right=True,
            ),
            Choice(
                "In the header Authorization.",
                "a page cannot set it: a browser's WebSocket takes an address and subprotocols, and no more.",
            ),
            Choice(
                "In the address, as ?access_token=….",
                "addresses are in the logs of every server on the way. The broker answers 400.",
            ),
        ),
    ),
    Question(
        "A proxy ends TLS in front of the broker. Who can read the token?",
        (
            Choice(
                "Nobody but the broker.",
                "TLS ends at the proxy: behind it the bytes are what they are.",
            ),
            Choice(
                "The broker, and the proxy with whoever runs it.",
                "so the proxy is part of what you trust, and so is the way behind it.",
                right=True,
            ),
            Choice(
                "Everybody on the Wi-Fi, as WebSocket frames are only masked.",
                "masked, and inside of TLS: on the Wi-Fi nobody can read them.",
            ),
        ),
    ),
    Question(
        "A thief has copies of a certificate-bound token and of the certificate. What opens the door?",
        (
            Choice(
                "Both together: the broker compares them, and they fit.",
                "it compares with the certificate of the handshake, and that takes the private key.",
            ),
            Choice(
                "The token alone, under the owner's client id.",
                "a token with cnf and no certificate is refused.",
            ),
            Choice(
                "Neither: the private key is missing.",
                "a certificate is public. That the client has its key is what the handshake proves.",
                right=True,
            ),
        ),
    ),
)

ex = Lesson("08", "carriers", login, faults, context, fits, quiz)
