"""Which sockets of this host haproxy steps may use, and the sentences for why such a step failed."""

from __future__ import annotations

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.core.settings_store import register
from tongchou.runbooks.reasons import declare

SOCKETS = "haproxy.sockets"


def problem_of(value: list[Any]) -> str | Promise | None:
    """What is wrong with the list; None when nothing is."""
    if all(isinstance(path, str) and path.startswith("/") and path.isprintable() for path in value):
        return None
    return _("A list of absolute paths is wanted.")


register(
    SOCKETS,
    list,
    [],
    _("Paths of HAProxy's stats sockets on this host that haproxy steps may use as unix:/path. Empty: none."),
    validate=problem_of,
)

declare(
    {
        "haproxy_failed": _("The Runtime API at %(at)s gave no usable answer (%(reason)s): %(why)s"),
        "haproxy_said": _("HAProxy refused %(command)s: %(said)s"),
        "haproxy_no_server": _("The backend %(backend)s has no server %(server)s."),
        "haproxy_taken": _("The backend %(backend)s already has a server %(server)s, at %(address)s."),
        "haproxy_last": _(
            "%(server)s is the last server of %(backend)s that takes traffic. Write allow_last: true to take it out."
        ),
        "haproxy_not_maint": _(
            "%(server)s is %(status)s; only a server in maintenance can be removed. Put action: maint before."
        ),
        "haproxy_busy": _("%(sessions)s sessions were still open on %(server)s after %(seconds)s s."),
        "haproxy_not_up": _("%(server)s was not up after %(seconds)s s; its last check: %(check)s"),
        "haproxy_unproven": _("HAProxy took %(command)s, yet afterwards the server is %(status)s."),
        "haproxy_raced": _(
            "No other server of %(backend)s took traffic any more once %(server)s was out, so it was put back."
        ),
    }
)
