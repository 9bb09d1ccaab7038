"""The inventory source "people": who has an account here and who is on which team, as resources to relate to.

Whose a thing is stays its owner, a team: that decides who may see and change it, and is no relation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from tongchou.core.models import Membership, Team, User
from tongchou.inventory import identity, source_settings
from tongchou.inventory.gather import Gathering
from tongchou.inventory.observation import Observation


class PeopleSource:
    """Reads accounts and teams of this platform. Nobody outside is asked."""

    kind: str = "people"
    title: Any = _("People and teams of this platform")
    precedence: int = 200
    declares: bool = True  # administrators, or their directory, said so
    interval_seconds: float = 300.0
    settings_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "people": {
                "type": "boolean",
                "default": True,
                "description": _("also people, not teams alone; service accounts never"),
            },
            "emails": {
                "type": "boolean",
                "default": False,
                "description": _("also e-mail addresses; who sees the inventory sees them"),
            },
        },
    }

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Fill in defaults; raises Invalid naming the field."""
        return source_settings.filled(self.settings_schema, settings)

    def fetch(self, settings: Mapping[str, Any], *, source: str) -> Observation:
        """Return the teams, the people with an account that may sign in, and who is on which team. Three queries."""
        gathering = Gathering()
        for name in Team.objects.order_by("name").values_list("name", flat=True):
            gathering.add("team", name, (identity.key("team", name),), owner=name)
        if settings["people"]:
            _people(gathering, emails=settings["emails"])
        return gathering.observation()


SOURCE = PeopleSource()


def _people(gathering: Gathering, *, emails: bool) -> None:
    teams: dict[Any, list[str]] = defaultdict(list)
    rows = Membership.objects.filter(team__isnull=False).order_by("team__name")
    for user_id, name in rows.values_list("user_id", "team__name"):
        teams[user_id].append(str(name))
    for user in User.objects.filter(is_active=True, is_service=False).order_by("username"):
        mine = list(dict.fromkeys(teams[user.pk]))
        email = user.email.strip().lower() if emails else ""
        keys = identity.keys(identity.key("user", user.username), identity.key("email", email) if email else None)
        # of one team: its people see them; of several, nobody could say whose they are
        owner = mine[0] if len(mine) == 1 else None
        key = gathering.add("person", str(user), keys, {"login": user.username, "email": email}, owner=owner)
        for name in mine:
            gathering.relate("member_of", key, identity.key("team", name), origin="declared")
