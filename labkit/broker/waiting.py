"""Waiting for a conversation to end, but not for ever; and from another thread."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future

__all__ = ["PATIENCE", "finished", "followed"]

#: Seconds to wait for a conversation to end before it is cancelled.
PATIENCE = 5.0


async def finished(task: "asyncio.Task[None]") -> None:
    """Wait for a conversation to end; cancel it when it does not."""
    done, _ = await asyncio.wait({task}, timeout=PATIENCE)
    if not done:
        task.cancel()
        await asyncio.wait({task}, timeout=PATIENCE)


def followed(
    loop: asyncio.AbstractEventLoop, act: "Callable[[], asyncio.Task[None] | None]"
) -> "Future[None] | None":
    """Call ``act`` on ``loop``; the future is done when the task that it returns is, at once if it is none.

    ``None``: the loop has ended.
    """
    done: Future[None] = Future()

    def finish(_: object = None) -> None:
        if not done.done():
            done.set_result(None)

    def follow() -> None:
        task = act()
        if task is None or task.done():
            finish()
        else:
            task.add_done_callback(finish)

    try:
        loop.call_soon_threadsafe(follow)
    except RuntimeError:
        return None
    return done
