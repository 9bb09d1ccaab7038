"""Filters of the map: words of kinds and of where a relation comes from."""

from __future__ import annotations

from django import template
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.inventory import kinds
from tongchou.web.design_ask import Asked

register = template.Library()
ORIGIN_WORDS: dict[str, str | Promise] = {
    "declared": _("declared"),
    "observed": _("observed"),
    "inferred": _("inferred"),
}


@register.filter
def kind_title(name: str) -> str | Promise:
    """Write a kind as people call it."""
    return kinds.kind(name).title


@register.filter
def origin_word(name: str) -> str | Promise:
    """Write where a relation comes from."""
    return ORIGIN_WORDS.get(name, name)


@register.filter
def map_has(asked: Asked, origin: str) -> bool:
    """Tell whether a map shows relations of this origin."""
    return asked.has(origin)
