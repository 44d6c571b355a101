"""Exercises of notebook 03: mend a validator, name the check that stops a forgery, break one, judge four."""

from labkit.exercises import Choice, Lesson, Question, Quiz, ____
from labkit.exercises.lesson03.breaking import slip
from labkit.exercises.lesson03.careless import faults, four_validators
from labkit.exercises.lesson03.forging import fifteen_tokens
from labkit.exercises.lesson03.handmade import hand_made, public_keys
from labkit.exercises.lesson03.mending import first_wrong
from labkit.exercises.lesson03.naming import stops

__all__ = ["____", "ex", "fifteen_tokens", "four_validators", "hand_made", "public_keys"]

quiz = Quiz(
    Question(
        "The signature of a token fits a key of your authorization server. What do you know?",
        (
            Choice(
                "The server wrote this token, and nobody has changed it since.",
                "no more than that: not for whom it is, nor until when, nor who is sending it.",
                right=True,
            ),
            Choice(
                "The device may connect.",
                "the server also signs tokens for other brokers, and tokens that have expired since.",
            ),
            Choice(
                "The device that sent it is the one named in it.",
                "a stolen token has the same good signature. That is what the binding is for.",
            ),
        ),
    ),
    Question(
        "Why does a validator know its algorithms before it reads the token?",
        (
            Choice(
                "Because the header is encrypted.",
                "everybody can read a header; anybody can also write one.",
            ),
            Choice(
                "Because reading the header takes too long.",
                "it takes microseconds. The trouble is who wrote it.",
            ),
            Choice(
                "Because the header is the sender's word, and one of the words is none.",
                "whoever may choose the algorithm may choose one that proves nothing.",
                right=True,
            ),
        ),
    ),
    Question(
        "A token has no aud. Your validator ends in KeyError, and the device does not get in. Is that good?",
        (
            Choice(
                "Yes: out is out.",
                "today it is. Tomorrow somebody catches KeyError around it, and then it is in.",
            ),
            Choice(
                "No: a refusal has to be a decision, with a reason, and not an accident.",
                "then the broker knows what to answer, and the operator knows what happened.",
                right=True,
            ),
            Choice(
                "Yes, because a token without aud is for everybody.",
                "a token for everybody is one that any broker could take and use at any other.",
            ),
        ),
    ),
)

ex = Lesson("03", "validation", first_wrong, stops, slip, faults, quiz)
