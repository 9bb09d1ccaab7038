"""Run-time settings: what an operator changes while the platform runs. Rows with history, typed by a register."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.core import ledger
from tongchou.core.access import Actor, check
from tongchou.core.models import SettingChange
from tongchou.core.problems import Invalid, NotFound
from tongchou.core.refs import ref


@dataclass(frozen=True)
class Setting:
    """What a key means: its type, its value when nobody set one, a sentence for people, an extra check.

    `elsewhere` says where people change it when an action of its own does so; then only the platform itself may `put`.
    """

    key: str
    type: type
    default: Any
    help: str | Promise
    validate: Callable[[Any], str | Promise | None] | None = None
    elsewhere: str | Promise = ""


_settings: dict[str, Setting] = {}


def register(
    key: str,
    type_: type,
    default: Any,
    help_: str | Promise,
    *,
    validate: Callable[[Any], str | Promise | None] | None = None,
    elsewhere: str | Promise = "",
) -> None:
    """Declare a key (in <room>/run_time_settings.py). `validate` returns a sentence when the value will not do."""
    _settings[key] = Setting(key, type_, default, help_, validate, elsewhere)


def known() -> list[Setting]:
    """Return every declared setting, by key."""
    return [_settings[key] for key in sorted(_settings)]


def get(key: str, default: Any = None) -> Any:
    """Return the newest value of a key; else its declared default; else `default`. One SQL query."""
    row = SettingChange.objects.filter(key=key).order_by("-pk").values_list("value", flat=True).first()
    if row is not None:
        return row
    declared = _settings.get(key)
    return declared.default if declared is not None else default


def newest() -> dict[str, SettingChange]:
    """Return the newest change of every key that was ever changed. One SQL query."""
    last = SettingChange.objects.values("key").annotate(last=Max("pk")).values("last")
    return {row.key: row for row in SettingChange.objects.filter(pk__in=last)}


def put(*, actor: Actor, key: str, value: Any) -> SettingChange:
    """Set a key. Event setting.changed carries the old and the new value."""
    check(actor, "settings.edit")
    declared = _settings.get(key)
    if declared is None:
        raise NotFound(
            "setting.unknown",
            _("There is no setting named %(key)s.") % {"key": key},
            field="key",
            value=key,
            remedy=_("GET /api/v1/settings lists them."),
        )
    if declared.elsewhere and actor.kind != "system":
        raise Invalid(
            "setting.elsewhere",
            _("The setting %(key)s is not changed here.") % {"key": key},
            field="key",
            value=key,
            remedy=declared.elsewhere,
        )
    wrong: str | Promise | None = None
    fits = isinstance(value, declared.type) and (declared.type is bool or not isinstance(value, bool))
    if not fits:
        wrong = _("A value of type %(type)s is wanted.") % {"type": declared.type.__name__}
    elif declared.validate is not None:
        wrong = declared.validate(value)
    if wrong:
        raise Invalid("setting.value", wrong, field="value", value=value, remedy=declared.help)
    with transaction.atomic():
        old = get(key)
        row = SettingChange.objects.create(key=key, value=value, changed_by_name=actor.name)
        ledger.record(
            actor=actor,
            verb="setting.changed",
            subject=ref(row),
            about=[f"core.setting:{key.replace('.', '-')}"],
            payload={"key": key, "old": old, "new": value},
        )
    return row
