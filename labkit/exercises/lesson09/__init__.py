"""Exercises of notebook 09: a message of RFC 7628, hasty doors, a verdict about AUTH, codes."""

from labkit.exercises import Choice, Lesson, Question, Quiz, ____
from labkit.exercises.lesson09.carried import DATA, NAME, ask, auth, connect, heard
from labkit.exercises.lesson09.deciding import verdict
from labkit.exercises.lesson09.hurried import doors, read
from labkit.exercises.lesson09.parting import reaction
from labkit.exercises.lesson09.reading import token_of

__all__ = ["DATA", "NAME", "____", "ask", "auth", "connect", "ex", "heard", "read"]

quiz = Quiz(
    Question(
        "A thief has copied a token that is bound to a key. Why does OAUTH2-POP keep her out?",
        (
            Choice(
                "The broker asks for the nonce to be signed, and the key has never left the device.",
                "the copy has the token and even an old proof: neither answers a new nonce.",
                right=True,
            ),
            Choice(
                "The token is encrypted for the device.",
                "it is signed, and anybody can read it. What it lacks for her is the key.",
            ),
            Choice(
                "AUTH is encrypted, unlike CONNECT.",
                "AUTH is a packet like all others: without TLS everybody on the way can read it.",
            ),
        ),
    ),
    Question(
        "A re-authentication brings a bad token. What becomes of the connection?",
        (
            Choice(
                "It goes on with the old token until that expires.",
                "a client that shows a bad token is not to be trusted: the standard ends it.",
            ),
            Choice(
                "It ends at once, with DISCONNECT 0x87, though the old token is still good.",
                "so fetch a token first, and show it only when you have it.",
                right=True,
            ),
            Choice(
                "The broker answers AUTH 0x87, and the client tries again.",
                "AUTH has no such code: it says success, continue, or re-authenticate.",
            ),
        ),
    ),
    Question(
        "Your broker speaks only MQTT 3.1.1. How does a device get its next token to it?",
        (
            Choice(
                "In an AUTH packet.",
                "3.1.1 has fourteen packets, and AUTH is not one of them.",
            ),
            Choice(
                "In a PUBLISH to a topic that the broker knows.",
                "some brokers have invented that. It is no standard, and yours may not be one of them.",
            ),
            Choice(
                "By a new connection, with the session kept.",
                "the gap is short, and QoS 1 and 2 wait for it. That is what lesson 04 did.",
                right=True,
            ),
        ),
    ),
)

ex = Lesson("09", "enhanced authentication", token_of, doors, verdict, reaction, quiz)
