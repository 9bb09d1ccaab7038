"""`python -m tongchou.demo.shop.main SETTINGS.json`: run the one shop process those settings describe."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable
from pathlib import Path

from tongchou.demo.shop.balancer import Balancer
from tongchou.demo.shop.database import Database
from tongchou.demo.shop.frame import Frame, Settings
from tongchou.demo.shop.load import Load
from tongchou.demo.shop.release import Release
from tongchou.demo.shop.stateless import Cache, Catalogue, Orders, Payments, Storefront

SERVICES: dict[str, Callable[[Frame], object]] = {
    "storefront": Storefront,
    "catalogue": Catalogue,
    "orders": Orders,
    "payments": Payments,
    "cache": Cache,
    "database": Database,
    "load-balancer": Balancer,
    "release-tool": Release,
    "customers": Load,
}


async def _run(settings: Settings) -> None:
    frame = Frame(settings)
    service = SERVICES[settings.service](frame)
    gc.freeze()
    await frame.run()
    del service


def main() -> None:
    """Entry point."""
    asyncio.run(_run(Settings.load(Path(sys.argv[1]))))


if __name__ == "__main__":
    main()
