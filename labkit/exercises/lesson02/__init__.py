"""Exercises of notebook 02: carry a token in CONNECT, find its bytes, tell five refusals apart."""

from labkit.exercises import Choice, Lesson, Question, Quiz, ____
from labkit.exercises.lesson02.carried import answer_to, log_in, tapped
from labkit.exercises.lesson02.carrying import login
from labkit.exercises.lesson02.finding import token_of
from labkit.exercises.lesson02.refused import at_the_door, faults

__all__ = ["____", "answer_to", "at_the_door", "ex", "log_in", "tapped"]

quiz = Quiz(
    Question(
        "Why is the password the better place for a token than the user name?",
        (
            Choice(
                "Because MQTT encrypts the password.",
                "MQTT encrypts nothing: both fields travel as they are. TLS encrypts, and then both.",
            ),
            Choice(
                "Because the user name is too short for a token.",
                "both fields have two bytes of length, so both hold up to 65,535 bytes.",
            ),
            Choice(
                "Because programs hide passwords, and show user names in logs and lists.",
                "a token in a log is a token for everybody who reads the log.",
                right=True,
            ),
        ),
    ),
    Question(
        "A device gets CONNACK 5 from this broker. What should it do?",
        (
            Choice(
                "Try again with the same token, once a second, until it works.",
                "the token and the client identifier are as they were, so the answer is, too.",
            ),
            Choice(
                "Compare its client identifier and its scopes with those of the token.",
                "5 says: the token is good, but not for what you ask. Something has to change first.",
                right=True,
            ),
            Choice(
                "Set its clock: the token has expired.",
                "a token that has expired is answered with 4. With 5 the token itself is good.",
            ),
        ),
    ),
    Question(
        "With TLS between device and broker, who can still read the token?",
        (
            Choice(
                "Nobody: it is encrypted from end to end.",
                "TLS ends at the broker. What the broker reads, it can also log.",
            ),
            Choice(
                "Everybody on the same Wi-Fi, since the signature is public.",
                "they see encrypted bytes. And no signature helps against reading: that takes TLS.",
            ),
            Choice(
                "The broker, and whoever reads its logs if it writes the token there.",
                "TLS protects the way, not its two ends.",
                right=True,
            ),
            Choice(
                "Only the authorization server.",
                "the authorization server is not part of this connection at all.",
            ),
        ),
    ),
)

ex = Lesson("02", "CONNECT with a token", login, token_of, faults, quiz)
