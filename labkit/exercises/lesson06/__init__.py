"""Exercises of notebook 06: rights for a fleet, containment, four faulty brokers, other formats."""

from labkit.exercises import Choice, Lesson, Question, Quiz, ____
from labkit.exercises.lesson06.brokers import broker_with, four_brokers
from labkit.exercises.lesson06.carried import connect, matches
from labkit.exercises.lesson06.covering import covers, leaks
from labkit.exercises.lesson06.elsewhere import lost
from labkit.exercises.lesson06.faults import faults
from labkit.exercises.lesson06.templates import rights

__all__ = ["____", "broker_with", "connect", "ex", "four_brokers", "matches"]

quiz = Quiz(
    Question(
        "MQTT 3.1.1: a device publishes with QoS 1, and the broker sends PUBACK. What does the device know?",
        (
            Choice(
                "That the message was allowed and handed on.",
                "a refused message gets the same PUBACK. Only the broker's record tells them apart.",
            ),
            Choice(
                "That the broker has got the message, and no more.",
                "it may have been handed on, or dropped: PUBACK looks the same.",
                right=True,
            ),
            Choice(
                "That somebody has received it.",
                "PUBACK comes from the broker. Whether anybody listens, it does not say.",
            ),
        ),
    ),
    Question(
        "A device is granted devices/+/state. Which SUBSCRIBE may the broker grant?",
        (
            Choice(
                "devices/#",
                "that holds devices/lamp-1/door, too, and everything below: far more than the grant.",
            ),
            Choice(
                "+/+/state",
                "that holds the state of other things than devices.",
            ),
            Choice(
                "devices/lamp-1/state",
                "every topic of it, there is only one, is a topic of the grant.",
                right=True,
            ),
        ),
    ),
    Question(
        "Rights move to a broker whose patterns have a star over any number of levels. What becomes of +?",
        (
            Choice(
                "It is left out or made narrower, and somebody is told.",
                "then a device may fail, and that is noticed. Wider rights are noticed by nobody.",
                right=True,
            ),
            Choice(
                "It becomes a star, which is the nearest thing.",
                "a star runs over slashes: devices/*/state lets devices/a/b/c/state in.",
            ),
            Choice(
                "It stays a +, which every broker understands.",
                "to patterns of RabbitMQ and AWS, + is a character like any other.",
            ),
        ),
    ),
)

ex = Lesson("06", "topic authorization", rights, leaks, covers, faults, lost, quiz)
