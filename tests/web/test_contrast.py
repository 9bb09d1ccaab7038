"""Text can be read: every text and status colour keeps WCAG AA's 4.5:1 on the grounds it stands on, in both themes."""

from __future__ import annotations

import re

import pytest

from tests.web.extraction import PACKAGE

TOKENS = (PACKAGE / "web" / "static" / "tongchou" / "tokens.css").read_text(encoding="utf-8")
PAIRS = re.findall(r"--([a-z0-9-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", TOKENS)
COLOURS = {name: (light, dark) for name, light, dark in PAIRS}
STATUSES = ("ok", "warning", "critical", "maintenance")


def luminance(colour: str) -> float:
    """Relative luminance by WCAG 2.2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast ratio by WCAG 2.2, 1 to 21."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_formula_is_wcags() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("text", "ground"),
    [
        *[(text, ground) for text in ("text", "text-2", "text-3") for ground in ("page", "panel", "raised", "sunken")],
        *[(status, ground) for status in STATUSES for ground in ("page", "panel", f"{status}-soft")],
        ("accent", "page"),
        ("accent", "panel"),
        ("accent", "accent-soft"),
        ("on-accent", "accent"),
        ("text-2", "unknown-soft"),
        ("text-3", "unknown-soft"),
    ],
)
def test_text_keeps_its_contrast(text: str, ground: str, theme: int) -> None:
    assert contrast(COLOURS[text][theme], COLOURS[ground][theme]) >= 4.5
