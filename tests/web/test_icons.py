"""Every icon somebody names is one the library has: a missing one is an error at the moment it is drawn."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from lucide.templatetags.lucide import lucide

from tongchou import web
from tongchou.incidents import timeline
from tongchou.inventory import kinds
from tongchou.web import admin_fields, icons, verbs
from tongchou.web.templatetags import ui

TEMPLATES = Path(web.__file__).parent / "templates"
NAMED = re.compile(r"""\{% icon ["']([a-z0-9-]+)["']""")


def named() -> Iterator[tuple[str, str]]:
    """(where, icon) of every icon in templates, words of statuses, kinds and verbs."""
    for path in TEMPLATES.rglob("*.html"):
        yield from ((str(path), name) for name in NAMED.findall(path.read_text(encoding="utf-8")))
    yield from (("status", each[1]) for each in ui.STATUS.values())
    yield from (("verb", each[0]) for each in verbs.MORE.values())
    yield from (("timeline", each.icon) for each in timeline.LINES.values())
    yield from (("field", each) for each in admin_fields.ICONS.values())
    yield from (("kind", each.icon) for each in kinds.every())


@pytest.fixture(scope="module")
def library() -> set[str]:
    """The names of the library's icons."""
    with zipfile.ZipFile(str(files("lucide") / "lucide.zip")) as archive:
        return {name.removesuffix(".svg") for name in archive.namelist()}


def test_every_named_icon_is_there(library: set[str]) -> None:
    found = list(named())
    assert len(found) > 200
    assert [(where, name) for where, name in found if name not in library] == []


def test_an_icon_is_drawn_as_the_library_draws_it(library: set[str]) -> None:
    for name in sorted({name for _where, name in named()} & library):
        assert icons.draw(name, 16, aria_hidden="true", data_n=3) == lucide(name, size=16, aria_hidden="true", data_n=3)


def test_an_icon_nobody_drew_is_an_error() -> None:
    with pytest.raises(icons.IconMissing, match="no-such-icon"):
        icons.draw("no-such-icon", 16)
