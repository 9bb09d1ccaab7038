"""Named reads of build servers, and their tokens for whoever asks them."""

from __future__ import annotations

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from tongchou.changes.build_ports import Place
from tongchou.changes.models_builds import BuildServer, PolledJob
from tongchou.core import secrets
from tongchou.core.access import Actor, check
from tongchou.core.problems import NotFound

VIEW = "changes.view"


def secret_name(server: str) -> str:
    """Return the name under which core.secrets keeps the token of a server."""
    return f"build-server:{server}"


def servers(actor: Actor) -> QuerySet[BuildServer]:
    """Return the build servers by name."""
    check(actor, VIEW)  # a server has no owner: a team's role does not open it
    return BuildServer.objects.select_related("sender").order_by("name")


def server(actor: Actor, name: str) -> BuildServer:
    """Return one server by its name; raises NotFound."""
    row = servers(actor).filter(name=name[:50]).first()
    if row is None:
        raise NotFound("build_server.unknown", _("There is no such build server."), field="name", value=name)
    return row


def polled(row: BuildServer) -> QuerySet[PolledJob]:
    """Return the jobs of a server that were looked at, by name."""
    return row.jobs.order_by("job")


def usable(name: str, kind: str) -> BuildServer | None:
    """Return a server that procedures may use: of this kind, and switched on."""
    return BuildServer.objects.filter(name=name[:50], kind=kind, enabled=True).first()


def place_of(row: BuildServer) -> Place:
    """Return how a server is asked, with its token in clear; raises Unavailable when the key is another one."""
    try:
        token = secrets.reveal(secret_name(row.name))
    except NotFound:
        token = ""
    return Place(row.name, row.url, row.user, token)
