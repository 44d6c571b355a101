"""Exercises of notebook 05: bind a token to a client id, break weaker checks, watch, and choose names."""

from labkit.exercises import Choice, Lesson, Question, Quiz, ____
from labkit.exercises.lesson05.binding import impostors, may_connect
from labkit.exercises.lesson05.carried import connect
from labkit.exercises.lesson05.fleets import four_fleets
from labkit.exercises.lesson05.schemes import schemes
from labkit.exercises.lesson05.watching import suspects

__all__ = ["____", "connect", "ex", "four_fleets"]

quiz = Quiz(
    Question(
        "A stolen token under another client id is answered with 5, not with 4. Why?",
        (
            Choice(
                "Because the token was forged.",
                "a forged token is a bad token, and gets 4. This one is genuine.",
            ),
            Choice(
                "Because the token is good, but not for this client.",
                "4 is about the token, 5 about what it allows: here, not this name.",
                right=True,
            ),
            Choice(
                "Because the broker has a list of thieves.",
                "it knows nobody. It compares a claim with a field of CONNECT.",
            ),
        ),
    ),
    Question(
        "Which attack gets past a broker that binds tokens to client ids?",
        (
            Choice(
                "A bulb with a token of its own calls itself door-1.",
                "the claim says bulb, CONNECT says door-1: refused with 5.",
            ),
            Choice(
                "A thief listens quietly, with a copied token, under a new name.",
                "the new name differs from the claim: refused with 5.",
            ),
            Choice(
                "A thief uses the copied token under the name of its owner.",
                "claim and client id are equal. The broker throws the owner out, which at least makes noise.",
                right=True,
            ),
        ),
    ),
    Question(
        "Rights are given by the pattern devices/%c/#. Who stops a client that is called +?",
        (
            Choice(
                "Registration, and the broker again at CONNECT.",
                "a name is checked where it is given out, and where it comes in.",
                right=True,
            ),
            Choice(
                "Nobody: MQTT forbids + in client ids.",
                "it forbids wildcards in topic names. A client id may hold any characters.",
            ),
            Choice(
                "Whoever writes the pattern.",
                "the pattern is right for every harmless name. It is the name that turns it into a wildcard.",
            ),
        ),
    ),
)

ex = Lesson("05", "client-id scoping", may_connect, impostors, suspects, schemes, quiz)
