"""Exercises of notebook 04: when a connection ends, when to refresh, how long to live, what goes wrong."""

from labkit.exercises import Choice, Lesson, Question, Quiz, ____
from labkit.exercises.lesson04.cameras import faults, four_cameras
from labkit.exercises.lesson04.carried import connect
from labkit.exercises.lesson04.choosing import lifetime
from labkit.exercises.lesson04.expiring import closes_after, refresh_after

__all__ = ["____", "connect", "ex", "four_cameras"]

quiz = Quiz(
    Question(
        "A dashboard only listens and never publishes. Its token expires. What should the broker do?",
        (
            Choice(
                "Nothing: it sends nothing that would have to be allowed.",
                "it goes on receiving. Reading is what a thief wants most.",
            ),
            Choice(
                "Look at the token again when it publishes.",
                "it never does, so the look never comes, and every message still goes out to it.",
            ),
            Choice(
                "Close the connection at exp, plus leeway.",
                "the timer of the connection does not depend on what the client does.",
                right=True,
            ),
        ),
    ),
    Question(
        "A sensor uses client credentials and got no refresh token. How does it get its next token?",
        (
            Choice(
                "It asks again, with its id and secret.",
                "what a refresh token would be for, its secret does already.",
                right=True,
            ),
            Choice(
                "It sends the old access token to the token endpoint.",
                "access tokens are for the broker. The token endpoint does not take them.",
            ),
            Choice("Its owner has to say yes again.", "no owner was asked: it acts in its own name."),
        ),
    ),
    Question(
        "A used refresh token turns up again. Why does the server end the newer token as well?",
        (
            Choice(
                "Because the newer token has expired by then.",
                "it may be seconds old. Its age is not the reason.",
            ),
            Choice(
                "Because it cannot tell which of the two is the thief.",
                "two parties had the same token, and either may be the one that came first.",
                right=True,
            ),
            Choice(
                "Because a refresh token may be used from one address only.",
                "addresses of devices change. What counts is that the token was used before.",
            ),
        ),
    ),
)

ex = Lesson("04", "expiry and refresh", closes_after, refresh_after, lifetime, faults, quiz)
