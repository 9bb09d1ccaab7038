"""What the first page after a start would wait for, read before the server says that it is ready."""

from __future__ import annotations

from django.template.loader import get_template
from django.urls import resolve, reverse
from django.utils import translation

from tongchou.web import assets, icons

PAGES = ("operate/cockpit.html", "operate/cockpit_live.html")


def warm_up() -> None:
    """Read addresses, words, the cockpit's templates, icons and the chart library; asks no database."""
    resolve(reverse("web:cockpit"))
    for language in ("en", "zh-hans"):
        with translation.override(language):
            translation.gettext("Alerts")
    for name in PAGES:
        get_template(name)
    icons.archive()
    assets.echarts_gzipped()
