"""Exercises of notebook 01: ask for a token, read it, wait for a person, tell good error answers from bad."""

from labkit.exercises import Choice, Lesson, Question, Quiz, ____
from labkit.exercises.lesson01.asking import ask, next_wait
from labkit.exercises.lesson01.errors import faults
from labkit.exercises.lesson01.reading import read_claims

__all__ = ["____", "ex"]

quiz = Quiz(
    Question(
        "Who can read the claims of an access token like the ones above?",
        (
            Choice(
                "Only the broker: it has the key.",
                "a signature is no lock. The key checks the claims; reading them needs none.",
            ),
            Choice(
                "Everyone who gets hold of the token.",
                "signed is not encrypted: base64url can be undone by anybody.",
                right=True,
            ),
            Choice(
                "Only the authorization server that made it.",
                "the server alone can sign, but what it signs is there for all to read.",
            ),
        ),
    ),
    Question(
        "Which claim keeps a token for this broker from being used at another broker?",
        (
            Choice(
                "aud", "the audience: a broker refuses a token that is meant for somebody else.", right=True
            ),
            Choice("iss", "the issuer is the same for all brokers that trust this server."),
            Choice("jti", "the number tells tokens apart. It says nothing about where they may be used."),
            Choice("sub", "the subject says whom the token speaks about, not whom it is meant for."),
        ),
    ),
    Question(
        "A soil sensor has no screen, and nobody is near when it starts. How does it ask?",
        (
            Choice(
                "With its owner's user name and password.",
                "then every sensor holds a password that opens all its owner has. RFC 9700 forbids it.",
            ),
            Choice(
                "With the device code grant.", "that grant waits for a person who says yes. Nobody is near."
            ),
            Choice(
                "With client credentials.", "it asks in its own name, and nobody has to be near.", right=True
            ),
        ),
    ),
)

ex = Lesson("01", "token issuance", ask, read_claims, next_wait, faults, quiz)
