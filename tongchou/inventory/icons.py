"""The names of the icons a kind may have: those of the pinned wheel of lucide."""

from __future__ import annotations

import io
from functools import cache
from importlib.resources import files
from zipfile import ZipFile


@cache
def names() -> frozenset[str]:
    """Return the name of every icon; the wheel's directory is read once."""
    archive = ZipFile(io.BytesIO((files("lucide") / "lucide.zip").read_bytes()))
    return frozenset(each.removesuffix(".svg") for each in archive.namelist() if each.endswith(".svg"))
