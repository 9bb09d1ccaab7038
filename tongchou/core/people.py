"""People, teams and roles: every write."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core import ledger, password_policy, sessions
from tongchou.core.access import Actor, check, check_own
from tongchou.core.models import ApiToken, Membership, Origin, Role, Team, User
from tongchou.core.problems import Conflict, Invalid
from tongchou.core.refs import ref

MAX_TEAM_NAME = 120


def _check_password(password: str, user: User) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise Invalid(
            "user.password",
            " ".join(str(each) for each in error.messages),
            field="password",
            remedy=_("Choose a longer password that is not a common one."),
        ) from error


def person_named(username: str, field: str) -> User:
    """Return the user of this name; Invalid on `field`."""
    found = User.objects.filter(username=username).first()
    if found is None:
        raise Invalid(
            "user.unknown",
            _("There is no such person."),
            field=field,
            value=username,
            remedy=_("Give their user name."),
        )
    return found


def create_user(
    *,
    actor: Actor,
    username: str,
    password: str | None,
    role: Role | None,
    display_name: str = "",
    is_service: bool = False,
    must_change_password: bool = False,
    origin: Origin = Origin.LOCAL,
) -> User:
    """Create a person (or, without a password, a service account) with a global role. Event user.created.

    `must_change_password`: the first page they see asks for a password that only they know.
    """
    check(actor, "access.manage")
    user = User(username=username.strip(), display_name=display_name.strip(), is_service=is_service, origin=origin)
    try:
        user.clean_fields(exclude=["password"])
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise Invalid("user.field", " ".join(messages), field=field, value=getattr(user, field, None)) from error
    if password is None:
        user.set_unusable_password()
    else:
        _check_password(password, user)
        user.set_password(password)
        user.password_changed_at = timezone.now()
        user.must_change_password = must_change_password
    try:
        with transaction.atomic():
            user.save(force_insert=True)
            if role is not None:
                Membership.objects.create(user=user, team=None, role=role)
            ledger.record(
                actor=actor,
                verb="user.created",
                subject=ref(user),
                payload={"username": user.username, "role": role and role.value, "origin": origin.value},
            )
    except IntegrityError as error:
        raise Conflict(
            "user.exists",
            _("There is a user named %(name)s already.") % {"name": username},
            field="username",
            value=username,
            remedy=_("Choose another name."),
        ) from error
    return user


def set_role(*, actor: Actor, user: User, role: Role | None, team: Team | None = None) -> None:
    """Give, change or take (None) a role, globally or in one team. The last active administrator stays one.

    A role given here is local from then on, and what was reviewed before was another one.
    """
    check(actor, "access.manage")
    with transaction.atomic():
        held = Membership.objects.filter(user=user, team=team).values_list("role", "source").first()
        old, source = held or (None, None)
        if old == role and source in (None, Origin.LOCAL):
            return
        if role is None:
            Membership.objects.filter(user=user, team=team).delete()
        else:
            fresh = {"role": role, "source": Origin.LOCAL, "source_group": "", "reviewed_at": None}
            Membership.objects.update_or_create(user=user, team=team, defaults={**fresh, "reviewed_by_name": ""})
        if old == Role.ADMIN and role != Role.ADMIN:
            keep_an_admin()
        ledger.record(
            actor=actor,
            verb="user.role_changed",
            subject=ref(user),
            about=[ref(team)] if team else [],
            payload={
                "username": user.username,
                "team": team.name if team else None,
                "old": old,
                "new": role and role.value,
            },
        )


ADMINISTRATORS_LOCK = 0x746F6E67_61646D69  # one number for all processes: PostgreSQL names its advisory locks so


def administrators() -> QuerySet[Membership]:
    """The roles of people (service accounts do not sign in) who are administrators everywhere and may sign in.

    In the caller's transaction, and until its end alone: of two administrators who take each other's role at the same
    moment the second sees what the first did. (SQLite lets one transaction write at a time anyway.)
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ADMINISTRATORS_LOCK])
    return Membership.objects.filter(team__isnull=True, role=Role.ADMIN, user__is_active=True, user__is_service=False)


def keep_an_admin() -> None:
    """Raise Conflict when nobody who may sign in is an administrator everywhere. In the caller's transaction."""
    if not administrators().exists():
        raise Conflict(
            "user.last_admin",
            _("This is the last administrator."),
            remedy=_("Make somebody else an administrator first."),
        )


def set_active(*, actor: Actor, user: User, active: bool) -> None:
    """Let a person in or keep them out; keeping out revokes their tokens and ends their sessions."""
    check(actor, "access.manage")
    with transaction.atomic():
        if not User.objects.filter(pk=user.pk, is_active=not active).update(is_active=active):
            return
        if not active:
            keep_an_admin()
            for token in ApiToken.objects.filter(user=user, revoked_at__isnull=True):
                ledger.record(
                    actor=actor,
                    verb="token.revoked",
                    subject=ref(token),
                    about=[ref(user)],
                    payload={"name": token.name},
                )
            ApiToken.objects.filter(user=user, revoked_at__isnull=True).update(revoked_at=timezone.now())
            sessions.end_all(actor=actor, user=user, reason="kept out")
        verb = "user.activated" if active else "user.deactivated"
        ledger.record(actor=actor, verb=verb, subject=ref(user), payload={"username": user.username})


def set_password(*, actor: Actor, user: User, password: str, must_change: bool = False, keep_session: str = "") -> None:
    """Set a password: one's own, or an administrator another's. The password itself is nowhere in the ledger.

    Every session of the person ends but the one with the key `keep_session`. `must_change`: it is good for one
    sign-in, at which the person chooses one that only they know.
    """
    own = actor.user_id == user.pk and actor.kind == "user"
    if not own:
        check(actor, "access.manage")
    if user.is_service or user.origin != Origin.LOCAL:
        raise Invalid(
            "user.no_password",
            _("%(name)s has no password here: it is a service account, or signs in elsewhere.")
            % {"name": user.username},
            field="password",
            remedy=_("A service account uses tokens; a person of a directory changes the password there."),
        )
    _check_password(password, user)
    with transaction.atomic():
        password_policy.remember(user, user.password)
        user.set_password(password)
        user.password_changed_at = timezone.now()
        user.must_change_password = must_change and not own
        user.save(update_fields=["password", "password_changed_at", "must_change_password"])
        ledger.record(actor=actor, verb="user.password_changed", subject=ref(user), payload={"username": user.username})
        sessions.end_all(actor=actor, user=user, keep=keep_session, reason="password changed")


def bad_team_name(name: str) -> Invalid:
    """The refusal of a name that no team may have."""
    return Invalid("team.name", _("A team has a name of 1 to 120 characters."), field="name", value=name)


def create_team(*, actor: Actor, name: str) -> Team:
    """Create a team. Event team.created."""
    check(actor, "access.manage")
    name = name.strip()
    if not name or len(name) > MAX_TEAM_NAME:
        raise bad_team_name(name)
    try:
        with transaction.atomic():
            team = Team.objects.create(name=name)
            ledger.record(actor=actor, verb="team.created", subject=ref(team), payload={"name": name})
    except IntegrityError as error:
        raise Conflict(
            "team.exists", _("There is a team named %(name)s already.") % {"name": name}, field="name", value=name
        ) from error
    return team


def set_preferences(*, actor: Actor, user: User, **wanted: str) -> User:
    """Change display_name, language, time_zone or theme; what is not given stays. Event only when one changes."""
    if actor.user_id != user.pk:
        check(actor, "access.manage")
    else:
        check_own(actor, "access.manage")
    names = ("display_name", "language", "time_zone", "theme")
    changed = {
        name: value.strip() for name, value in wanted.items() if name in names and value.strip() != getattr(user, name)
    }
    if not changed:
        return user
    for name, value in changed.items():
        setattr(user, name, value)
    try:
        user.clean_fields(exclude=[field.name for field in User._meta.fields if field.name not in changed])
        if "time_zone" in changed:
            ZoneInfo(user.time_zone)
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise Invalid("user.field", " ".join(messages), field=field, value=changed[field]) from error
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # OSError: a folder of the database, such as Asia
        raise Invalid(
            "user.time_zone",
            _("This system does not know that time zone."),
            field="time_zone",
            value=user.time_zone,
            remedy=_("Use a name of the IANA database, for example Asia/Shanghai."),
        ) from error
    with transaction.atomic():
        user.save(update_fields=list(changed))
        ledger.record(actor=actor, verb="user.preferences_changed", subject=ref(user), payload=changed)
    return user
