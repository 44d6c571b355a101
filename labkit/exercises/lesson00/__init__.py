"""Exercises of notebook 00: a first message of your own, and a token in the wrong hands."""

from labkit.exercises import Choice, Lesson, Question, Quiz, ____
from labkit.exercises.lesson00.borrowing import borrow
from labkit.exercises.lesson00.greeting import first_message

__all__ = ["____", "ex"]

quiz = Quiz(
    Question(
        "Who makes the tokens?",
        (
            Choice(
                "The broker.", "the broker only checks tokens. It could not make one: it has no private key."
            ),
            Choice("The device.", "then any device could give itself any right."),
            Choice("The authorization server.", "it knows the devices, and it alone can sign.", right=True),
        ),
    ),
    Question(
        "What does the broker need from the authorization server to check a token?",
        (
            Choice("Its public keys, now and then.", "with them it checks signatures by itself.", right=True),
            Choice(
                "The secret of the device.", "the secret never leaves device and server. That is the point."
            ),
            Choice(
                "An answer for every single token.",
                "that way exists, too (introspection, notebook 07), but the lab's broker checks by itself.",
            ),
        ),
    ),
    Question(
        "The token of a connected device expires. What does the broker of this lab do?",
        (
            Choice(
                "Nothing: a token is only looked at in CONNECT.",
                "some brokers do just that, and then a stolen token is good for as long as nobody hangs up.",
            ),
            Choice("It closes the connection.", "the right to be connected ends with the token.", right=True),
            Choice(
                "It renews the token.",
                "only the device can ask for a new one: it alone has the secret.",
            ),
        ),
    ),
)

ex = Lesson("00", "start here", first_message, borrow, quiz)
