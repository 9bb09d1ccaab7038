"""A release's data folder, unpacked."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
RELEASES = {"0.1.0": "5ab9924"}  # version -> its commit; from 0.2.0 on the tag v<version>
LONG = {"TONGCHOU_TELEMETRY_RETENTION_DAYS": "3650"}  # or the old samples would grow too old for the test


def unpack(version: str, into: Path) -> tuple[Path, dict[str, Any]]:
    """Unpack the data folder of a release; return it and what is expected in it."""
    with tarfile.open(FOLDER / f"release-{version}.tar.xz") as tar:
        tar.extractall(into, filter="data")
    data = into / "data"
    data.chmod(0o700)
    return data, json.loads((data / "expected.json").read_text())
