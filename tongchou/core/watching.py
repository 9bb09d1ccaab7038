"""Who wants to hear of what. A watch is a person's own: it changes nothing for others and is not in the ledger."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from tongchou.core import nouns
from tongchou.core.access import Actor, check_own, visible_teams
from tongchou.core.models import Team
from tongchou.core.models_talk import InboxPreference, Reason, Watch
from tongchou.core.problems import Conflict, NotFound
from tongchou.core.refs import is_ref, parse, ref

OWN = "comments.edit"  # what a token needs to change watches and the inbox of its person
MAX_WATCHES = 2000
# what starts a watch by itself, unless the person chose otherwise
AUTOMATIC = (
    Reason.COMMENTED,
    Reason.MENTIONED,
    Reason.ASSIGNED,
    Reason.APPROVAL,
    Reason.REQUESTED,
)


def team_ref(team_id: UUID) -> str:
    """Return the Ref under which a team's nouns are watched."""
    return f"core.team:{team_id}"


def person(actor: Actor) -> UUID:
    """Return the person who acts; NotFound for a part of the platform, which has no inbox."""
    if actor.user_id is None:
        raise NotFound(
            "inbox.nobody", _("Only a person has watches and an inbox."), remedy=_("Use a person's token or session.")
        )
    return actor.user_id


def _checked(actor: Actor, wanted: str) -> str:
    """Return the Ref as it is kept, of a noun or a team the actor may see."""
    if is_ref(wanted) and wanted.startswith("core.team:"):
        try:
            team = Team.objects.filter(pk=UUID(parse(wanted).id)).first()
        except ValueError:
            team = None
        teams = visible_teams(actor)
        if team is None or (teams is not None and team.pk not in teams):
            raise NotFound(
                "team.unknown",
                _("There is no such team, or you are not in it."),
                field="ref",
                value=wanted,
                remedy=_("Watch a team you are in."),
            )
        return ref(team)
    return ref(nouns.row(actor, wanted))


def watch(*, actor: Actor, wanted: str) -> Watch:
    """Watch a noun or a team's nouns from now on. Once is enough: it may be called again."""
    user_id = person(actor)
    check_own(actor, OWN)
    wanted = _checked(actor, wanted)
    if Watch.objects.filter(user_id=user_id).exclude(ref=wanted).count() >= MAX_WATCHES:
        raise Conflict(
            "watch.many",
            _("You watch %(most)s things already.") % {"most": MAX_WATCHES},
            field="ref",
            value=wanted,
            remedy=_("Stop watching some of them, or watch a team."),
        )
    row, _made = Watch.objects.update_or_create(
        user_id=user_id, ref=wanted, defaults={"muted": False, "reason": Reason.BY_HAND}
    )
    return row


def unwatch(*, actor: Actor, wanted: str) -> None:
    """Stop watching; nothing but a mention or a task brings it back. Also for what the actor may no longer see."""
    user_id = person(actor)
    check_own(actor, OWN)
    if not Watch.objects.filter(user_id=user_id, ref=wanted).update(muted=True):
        Watch.objects.update_or_create(
            user_id=user_id, ref=_checked(actor, wanted), defaults={"muted": True, "reason": Reason.BY_HAND}
        )


def watches(actor: Actor) -> QuerySet[Watch]:
    """Return what the actor watches, newest first."""
    return Watch.objects.filter(user_id=person(actor), muted=False).order_by("-created_at", "pk")


def watch_of(actor: Actor, wanted: str) -> Watch | None:
    """Return the actor's watch of a noun, also a muted one."""
    return Watch.objects.filter(user_id=actor.user_id, ref=wanted).first() if actor.user_id else None


def watchers(wanted: str) -> int:
    """Return how many people watch a noun itself."""
    return Watch.objects.filter(ref=wanted, muted=False, user__is_active=True).count()


def begin(user_id: UUID, wanted: str, reason: Reason) -> None:
    """Start a watch by itself, unless there is one, it was ended by hand, or the person wants none for this reason."""
    if reason not in AUTOMATIC or Watch.objects.filter(user_id=user_id, ref=wanted).exists():
        return
    chosen = InboxPreference.objects.filter(user_id=user_id).values_list("no_watch", flat=True).first()
    if reason.value in (chosen or ()):
        return
    Watch.objects.bulk_create([Watch(user_id=user_id, ref=wanted, reason=reason)], ignore_conflicts=True)
