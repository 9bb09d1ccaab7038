"""Lucide's icons as SVG, out of the pinned wheel.

The library opens its archive, and reads the directory of all 1,700 icons, for every single one: half a second of the
first page after a start. Here that is done once.
"""

from __future__ import annotations

import io
from functools import cache
from importlib.resources import files
from xml.etree import ElementTree as ET
from zipfile import ZipFile

NAMESPACE = "{http://www.w3.org/2000/svg}"


class IconMissing(LookupError):
    """The library has no icon of this name."""


@cache
def archive() -> ZipFile:
    """Return the opened archive, kept in memory (half a megabyte)."""
    return ZipFile(io.BytesIO((files("lucide") / "lucide.zip").read_bytes()))


def draw(name: str, size: int, **attributes: object) -> str:
    """Return the SVG element, as the library draws it: `attributes` are those of the element, with - written as _."""
    try:
        text = archive().read(f"{name}.svg").decode()
    except KeyError:
        raise IconMissing(f"lucide has no icon called {name!r}") from None
    svg = ET.fromstring(text)  # noqa: S314  # a file of the pinned wheel
    for node in svg.iter():
        node.tag = node.tag.removeprefix(NAMESPACE)
    given = {key.replace("_", "-"): str(value) for key, value in attributes.items()}
    svg.attrib.update({"width": str(size), "height": str(size), **given})
    return ET.tostring(svg, encoding="unicode")
