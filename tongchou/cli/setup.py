"""`tongchou setup`: prepare what a source checkout lacks (translations)."""

from __future__ import annotations

from pathlib import Path

LOCALE = Path(__file__).resolve().parent.parent / "locale"


def compile_translations() -> int:
    """Compile every .po that is newer than its .mo; return how many. Babel does it, no gettext binary is needed."""
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    count = 0
    for source in LOCALE.glob("*/LC_MESSAGES/*.po"):
        target = source.with_suffix(".mo")
        if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
            continue
        with source.open("rb") as file:
            catalogue = read_po(file)
        scratch = target.with_suffix(".mo.new")
        with scratch.open("wb") as file:
            write_mo(file, catalogue)
        scratch.replace(target)  # a running server never reads half a file
        count += 1
    return count


def setup() -> None:
    """Compile translations. `make setup` calls it; it needs no database."""
    print(f"translations compiled: {compile_translations()}")
