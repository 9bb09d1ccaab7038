"""Loaded first (`-p tests.apart`): gives each process of a parallel run a data folder and a test database of its own.

Settings read the environment when Django is set up, so this must come before; each worker imports it before that.
"""

from __future__ import annotations

import os
from pathlib import Path

_worker = os.environ.get("PYTEST_XDIST_WORKER")
if _worker and "TONGCHOU_DATA" in os.environ:
    folder = Path(os.environ["TONGCHOU_DATA"])
    os.environ["TONGCHOU_DATA"] = str(folder if folder.name == _worker else folder / _worker)
