"""Exercises of notebook 11: forge a letter, keep a list, ask for more, end a family; and the gallery."""

from labkit.exercises import Choice, Lesson, Question, Quiz, ____
from labkit.exercises.lesson11.carried import by_jwk
from labkit.exercises.lesson11.exhibits import gallery
from labkit.exercises.lesson11.letters import letter
from labkit.exercises.lesson11.refreshing import refresh
from labkit.exercises.lesson11.revoking import entry
from labkit.exercises.lesson11.wishing import wishes

__all__ = ["____", "by_jwk", "ex", "gallery"]

quiz = Quiz(
    Question(
        "A repaired validator refuses the attack. What else has to be shown?",
        (
            Choice(
                "Nothing: the hole is closed.",
                "a validator that refuses everybody has no hole either. Nobody would want it.",
            ),
            Choice(
                "That honest traffic still passes.",
                "a repair is done when the thief stays outside and everybody else gets in.",
                right=True,
            ),
            Choice(
                "That the attack also fails against other people's brokers.",
                "those are not yours to attack. And they would tell you nothing about your repair.",
            ),
        ),
    ),
    Question(
        "kid, jku, jwk, alg: what do these attacks have in common?",
        (
            Choice(
                "A header that the sender writes decides how it is checked.",
                "whoever reads a token knows keys and algorithms before, and takes neither from it.",
                right=True,
            ),
            Choice(
                "The signature is not checked.",
                "in most of them it is, and it fits: with the key or algorithm that the thief has chosen.",
            ),
            Choice(
                "The claims are not encrypted.",
                "they are not, and need not be: the thief may read them, and cannot change them.",
            ),
        ),
    ),
    Question(
        "A refresh token is used a second time. Why does the device lose its tokens, too?",
        (
            Choice(
                "Because the device has done something wrong.",
                "perhaps it has done nothing at all: the first use may have been the thief's.",
            ),
            Choice(
                "Because nobody can tell which of the two is the thief.",
                "the owner can: the device asks again, and the thief has nobody to ask.",
                right=True,
            ),
            Choice(
                "Because its access token has expired.",
                "it may have minutes to live. The server ends it, as it may be in the thief's hands.",
            ),
        ),
    ),
)

ex = Lesson("11", "break it, fix it", letter, entry, wishes, refresh, quiz)
