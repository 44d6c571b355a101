"""Plain amqtt with its anonymous plugin and nothing else: what the gate is measured against.

Prints one line of JSON with host and port; ends when its standard input does.
"""

import asyncio
import json
import logging
import sys

from amqtt.broker import Broker


async def main(port: int) -> None:
    logging.basicConfig(level=logging.ERROR)
    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    await broker.start()
    print(json.dumps({"host": "127.0.0.1", "port": port}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
