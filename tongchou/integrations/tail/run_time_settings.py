"""What an operator may change about followed files."""

from __future__ import annotations

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.core.settings_store import register

FILES = "logs.tail_files"


def problem_of(value: list[Any]) -> str | Promise | None:
    """What is wrong with the list; None when nothing is."""
    for each in value:
        path, labels = (each.get("path"), each.get("labels", {})) if isinstance(each, dict) else ("", None)
        named = isinstance(labels, dict) and all(isinstance(text, str) for text in labels.values())
        if not named or not isinstance(path, str) or not path.startswith("/"):
            return _("A list of objects with path and labels is wanted.")
    return None


register(
    FILES,
    list,
    [],
    _("Files to follow: objects with path (a file or a pattern) and labels. Empty: none."),
    validate=problem_of,
)
