"""Exercises of notebook 10: plan a rotation, write a key cache, find the fault, choose a leeway."""

from labkit.exercises import Choice, Lesson, Question, Quiz, ____
from labkit.exercises.lesson10.caching import find
from labkit.exercises.lesson10.carried import knock, stranger
from labkit.exercises.lesson10.outages import faults, four_devices
from labkit.exercises.lesson10.planning import plan
from labkit.exercises.lesson10.skewed import leeway

__all__ = ["____", "ex", "four_devices", "knock", "stranger"]

quiz = Quiz(
    Question(
        "A server has signed its last token with a key. When may that key leave the key set?",
        (
            Choice(
                "At once: nothing is signed with it any more.",
                "tokens that it signed are still on their way, and brokers need the key to check them.",
            ),
            Choice(
                "When the last token that it signed has ended, leeway included.",
                "until then some device can show such a token, and is right to.",
                right=True,
            ),
            Choice(
                "Never: a key that was good once stays good.",
                "a key that nobody needs can only be stolen. Set and cache let go of it in the end.",
            ),
        ),
    ),
    Question(
        "A token names a key that the broker does not know. It asked for the keys 5 s ago. What now?",
        (
            Choice(
                "Refuse it, without asking.",
                "a well-planned key is known by now, and anybody can make up another.",
                right=True,
            ),
            Choice(
                "Ask again: the key may be new.",
                "then each stranger with a made-up key id costs the server a request.",
            ),
            Choice(
                "Let it in until the next answer.",
                "a token that nobody could check is no better than none.",
            ),
        ),
    ),
    Question(
        "The authorization server is away for 2 minutes. Tokens live 15 minutes and are refreshed at "
        "70 to 90 %. Which devices lose their connection?",
        (
            Choice(
                "None, if they try again until it is back.",
                "at 90 % there are 90 s left, and the outage takes 120: a few can be cut off.",
            ),
            Choice(
                "All: the broker cannot check tokens without the server.",
                "it holds the keys, and a connection that stands needs no further check.",
            ),
            Choice(
                "A few: those whose token ends before a new one is there.",
                "whoever first asks less than 2 minutes before the end can run out of time.",
                right=True,
            ),
        ),
    ),
)

ex = Lesson("10", "keys that rotate, servers that fail", plan, find, faults, leeway, quiz)
