"""What a comparison has to tell people: codes and facts while it is stored, sentences when it is read.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

TEXTS: dict[str, Any] = {
    "source_says": "%(text)s",
    "nothing_listed": _("The source lists nothing at all; the %(count)s resources it listed before are kept."),
    "owner_unknown": _("%(name)s: no team is named %(owner)s; the owner is left open."),
    "identity": _("%(name)s: its identity keys also belong to %(others)s; nothing was merged."),
    "value": _("%(name)s: %(attribute)s is said to be both %(kept)s and %(other)s; the first is kept."),
    "unfit": _("%(name)s: %(attribute)s is %(value)s. %(why)s"),
    "relation_ends": _("%(name)s and %(other)s are of kinds that the relation %(type)s is not meant for."),
    "relation_many": _("%(name)s and %(other)s: the relation %(type)s is meant to hold once, and holds several times."),
    "name": _("%(name)s is also called %(other)s in the same look; the first is kept."),
}


@dataclass(frozen=True, slots=True)
class Note:
    """A code of TEXTS with the facts its sentence needs."""

    code: str
    params: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Return the form in which it is stored (SourceConfig.last_result)."""
        return {"code": self.code, "params": dict(self.params)}


def text(stored: Mapping[str, Any]) -> str:
    """Return the sentence of a stored note in the reader's language."""
    sentence: str = str(TEXTS[stored["code"]]) % stored["params"]
    return sentence
