"""Which sockets of this host sources may ask: whoever may write to one is root, so an administrator lists them."""

from __future__ import annotations

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.core.settings_store import register

SOCKETS = "docker.sockets"


def problem_of(value: list[Any]) -> str | Promise | None:
    """What is wrong with the list; None when nothing is."""
    if all(isinstance(path, str) and path.startswith("/") and path.isprintable() for path in value):
        return None
    return _("A list of absolute paths is wanted.")


register(
    SOCKETS,
    list,
    [],
    _("Paths of Docker's sockets on this host that sources may ask, such as /var/run/docker.sock. Empty: none."),
    validate=problem_of,
)
