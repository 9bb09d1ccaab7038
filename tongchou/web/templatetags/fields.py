"""The panel of custom fields on the page of a noun."""

from __future__ import annotations

from typing import Any

from django import template
from django.template import Context

from tongchou.core.refs import ref
from tongchou.web.fields import panel_context

register = template.Library()


register.filter("ref", ref)


@register.inclusion_tag("fields/panel.html", takes_context=True)
def custom_fields(context: Context, row: Any) -> dict[str, Any]:
    """Show the custom fields of a row; nothing when its sort has none."""
    return panel_context(context["request"], row, ref(row))
