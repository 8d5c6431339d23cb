"""Asks a server with chassisml's OMIClient; prints what it was told, as JSON.

It takes the port of the model `doubled` of models.py, and ends that server in the end.
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys
from pathlib import Path

# chassisml calls itself `chassis` too: this repository is not where it is looked for.
sys.path = [path for path in sys.path if Path(path).resolve() != Path(__file__).parents[2]]

from chassis.client import OMIClient  # noqa: E402


async def main(port: str) -> None:
    async with OMIClient("127.0.0.1", int(port)) as client:
        status = await client.status()
        ran = await client.run([{"row": struct.pack("<3f", 1, 2, 3)}, {"row": b"short"}])
        left = await client.shutdown()
    doubled, refused = ran.outputs
    print(
        json.dumps(
            {
                "status": [status.status_code, status.model_info.model_name, status.features.batch_size],
                "run": [ran.status_code, doubled.success, struct.unpack("<3f", doubled.output["doubled"])],
                "refused": [refused.success, refused.output["error"].decode()],
                "shutdown": left.status_code,
            }
        )
    )


asyncio.run(main(*sys.argv[1:]))
