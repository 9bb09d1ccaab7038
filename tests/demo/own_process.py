"""A process of the shop that leaks, in a process of its own: `python -m tests.demo.own_process FOLDER`.

Prints, as JSON, how many bytes it held more than before: after 6 requests, after 36, and with the leak switched off. In a
test's own process the allocator may serve a leak out of memory that other tests gave back.
"""

from __future__ import annotations

import asyncio
import json
import sys

from tongchou.demo.shop import frame as frame_module
from tongchou.demo.shop.frame import Frame, Settings
from tongchou.demo.shop.http1 import Request, Response, answer
from tongchou.demo.shop.metrics import resident_bytes

LIMIT_BYTES, LEAK_BYTES = 60_000_000, 5_000_000


async def nothing(_request: Request) -> Response:
    return answer({})


def main(folder: str) -> list[int]:
    frame_module.LEAK_LIMIT_BYTES = LIMIT_BYTES
    process = Frame(Settings("storefront-2", "storefront", "instance", 0, "1.0.0", folder, "token", "", {}))
    process.route("GET", "/", nothing)

    def get(times: int) -> int:
        for _request in range(times):
            asyncio.run(process.handle(Request("GET", "/", {}, {}, b"")))
        return resident_bytes()

    def leak(size_bytes: int) -> None:
        headers, body = {"authorization": "Bearer token"}, json.dumps({"leak_bytes_per_request": size_bytes}).encode()
        answered = asyncio.run(process.handle(Request("POST", "/switches", {}, headers, body)))
        assert answered.status == 200

    before = get(1)
    leak(LEAK_BYTES)
    held = [get(6) - before, get(30) - before]
    leak(0)
    held.append(resident_bytes() - before)
    process.close()
    return held


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
