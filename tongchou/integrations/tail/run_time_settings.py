"""What an operator may change about followed files."""

from __future__ import annotations

from typing import Any

import re2
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.core.settings_store import register
from tongchou.integrations.tail.follow import first_line

FILES = "logs.tail_files"


def problem_of(value: list[Any]) -> str | Promise | None:
    """What is wrong with the list; None when nothing is."""
    for each in value:
        path, labels = (each.get("path"), each.get("labels", {})) if isinstance(each, dict) else ("", None)
        pattern = each.get("multiline_start", "") if isinstance(each, dict) else ""
        if not isinstance(pattern, str) or len(pattern) > 1000:
            return _("multiline_start is a pattern (RE2) for the first line of an entry.")
        try:
            first_line(pattern)
        except re2.error as error:
            return _("RE2 refuses the pattern of multiline_start: %(why)s") % {"why": error}
        named = isinstance(labels, dict) and all(isinstance(text, str) for text in labels.values())
        if not named or not isinstance(path, str) or not path.startswith("/"):
            return _("A list of objects with path and labels is wanted.")
    return None


register(
    FILES,
    list,
    [],
    _("Files to follow: objects with path (a file or a pattern), labels and multiline_start. Empty: none."),
    validate=problem_of,
)
