"""Exercises of notebook 07: believe an answer, keep it, judge four brokers, choose mode and ttl."""

from labkit.exercises import Choice, Lesson, Question, Quiz, ____
from labkit.exercises.lesson07.answering import lets_in
from labkit.exercises.lesson07.brokers import faults, four_brokers
from labkit.exercises.lesson07.carried import connect, introspect
from labkit.exercises.lesson07.choosing import settings
from labkit.exercises.lesson07.keeping import answer_for
from labkit.exercises.lesson07.measuring import prices

__all__ = ["____", "connect", "ex", "four_brokers", "introspect", "prices"]

quiz = Quiz(
    Question(
        "A token is revoked. A broker in mode jwt, whom nobody tells, gets it in CONNECT. What happens?",
        (
            Choice(
                "It is refused: the signature is no longer good.",
                "a signature stays good for ever. Revoking changes nothing in the token.",
            ),
            Choice(
                "It is refused, as the broker fetches the keys again.",
                "the keys say who signed. They say nothing about a single token.",
            ),
            Choice(
                "It is let in, until exp.",
                "all the broker looks at is in the token, and nothing of that has changed.",
                right=True,
            ),
        ),
    ),
    Question(
        "A broker asks, and keeps an answer for 60 seconds. A token lives 20 seconds more. How long may the "
        "answer be used?",
        (
            Choice(
                "20 seconds.",
                "whichever comes first: the ttl or exp (RFC 7662 §4).",
                right=True,
            ),
            Choice(
                "60 seconds.",
                "then a dead token would open the door for 40 seconds.",
            ),
            Choice(
                "Not at all.",
                "a short answer may be kept for a short time. It still spares the server some requests.",
            ),
        ),
    ),
    Question(
        "The authorization server does not answer. A broker in mode introspection gets a new token. What is "
        "the right answer?",
        (
            Choice(
                "0, because the device is probably honest.",
                "then an attacker who can block the server can also open the door.",
            ),
            Choice(
                "3: nobody can tell at the moment, so nobody is let in.",
                "it fails closed, and the device may come again later with the same token.",
                right=True,
            ),
            Choice(
                "4: the token is bad.",
                "that is not known, and a device would throw a good token away.",
            ),
        ),
    ),
)

ex = Lesson("07", "introspection and revocation", lets_in, answer_for, faults, settings, quiz)
