"""The nouns of the inventory that people work with."""

from collections.abc import Iterator

from django.db.models import QuerySet
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from tongchou.core.access import Actor, allows, check
from tongchou.core.field_types import TEXTS
from tongchou.core.nouns import Noun, register
from tongchou.core.watching import team_ref
from tongchou.inventory import kinds, reads
from tongchou.inventory.given.subscriptions import MANAGE
from tongchou.inventory.models import Resource
from tongchou.inventory.models_given import Subscription

EDIT = "inventory.edit"
LONGEST = 200  # characters of a field's text that a search looks into


def _words(row: Resource) -> Iterator[str]:
    """The kind, by its name and its titles; labels; and what the standard fields say in short texts."""
    yield row.kind
    for language in ("en", "zh-hans"):
        with translation.override(language):
            yield str(kinds.kind(row.kind).title)
    yield from (f"{name}={value}" for name, value in row.labels.items())
    for field in kinds.fields(row.kind):
        value = row.attributes.get(field.name)
        if isinstance(value, str) and field.type in TEXTS:
            yield value[:LONGEST]
        elif isinstance(value, list):
            yield from (each[:LONGEST] for each in value if isinstance(each, str))


register(
    Noun(
        "inventory.resource",
        _("Resource"),
        _("Resources"),
        "inventory.view",
        reads.visible,
        lambda actor, row: check(actor, EDIT, team=row.owner_id),
        custom_fields=True,
        subkind="kind",
        lineage=kinds.lineage,
        heirs=kinds.with_heirs,
        watched_through=lambda row: [team_ref(row.owner_id)] if row.owner_id else [],
        words=_words,
    )
)


def _subscriptions(actor: Actor) -> QuerySet[Subscription]:
    """They have no team: who may manage integrations sees all, others none."""
    return Subscription.objects.all() if allows(actor, MANAGE) else Subscription.objects.none()


register(
    Noun(
        "inventory.subscription",
        _("Subscription"),
        _("Subscriptions"),
        MANAGE,
        _subscriptions,
        lambda actor, _row: check(actor, MANAGE),
    )
)
