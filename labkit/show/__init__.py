"""Pictures of tokens, packets, events, conversations, lifetimes and decisions.

Every picture is a complete plain text first: it is what a test compares, a screen reader reads and a saved
notebook shows.  The same call gives the same text on every run: times are relative, ports and random values
are masked.  Nothing here judges by rules of its own: that is what :mod:`labkit.tokens` is for.
"""

from labkit.show.answer import answer
from labkit.show.conversation import conversation
from labkit.show.decision import decision
from labkit.show.lifetime import lifetime
from labkit.show.packet import packet
from labkit.show.story import events
from labkit.show.text import Shown
from labkit.show.token import token

__all__ = ["Shown", "answer", "conversation", "decision", "events", "lifetime", "packet", "token"]
