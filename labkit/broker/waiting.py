"""Waiting for a conversation to end, but not for ever."""

import asyncio

__all__ = ["PATIENCE", "finished"]

#: Seconds to wait for a conversation to end before it is cancelled.
PATIENCE = 5.0


async def finished(task: "asyncio.Task[None]") -> None:
    """Wait for a conversation to end; cancel it when it does not."""
    done, _ = await asyncio.wait({task}, timeout=PATIENCE)
    if not done:
        task.cancel()
        await asyncio.wait({task}, timeout=PATIENCE)
