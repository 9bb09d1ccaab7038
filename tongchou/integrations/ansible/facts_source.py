"""The inventory source "ansible_facts": facts that Ansible gathered, from a folder with a file a host, or by upload."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Invalid
from tongchou.integrations.ansible import facts
from tongchou.inventory import documents, source_settings
from tongchou.inventory.documents import FILE_SETTINGS, Document, Filed
from tongchou.inventory.gather import Gathering
from tongchou.inventory.observation import Observation

MAX_HOST_BYTES = 5_000_000  # facts of a host are some 20 kB, with thousands of mounts a few MB


class AnsibleFactsSource:
    """Says what machines said of themselves when Ansible last asked; as old as the file, hence weaker than a look."""

    kind: str = "ansible_facts"
    title: Any = _("Facts gathered by Ansible")
    precedence: int = 260
    interval_seconds: float = 3600.0
    settings_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            **FILE_SETTINGS,
            "path": {
                **FILE_SETTINGS["path"],
                "description": _("the folder of facts, or one file, in an allowed folder; without it, by upload"),
            },
        },
    }

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Fill in defaults; raises Invalid naming the field."""
        return source_settings.filled(self.settings_schema, settings)

    def fetch(self, settings: Mapping[str, Any], *, source: str) -> Observation:
        """Read every file of the folder once. One that cannot be read is told of; raises Problem when none can."""
        if documents.waits(settings) or not documents.is_folder(settings):
            return self.read(settings, documents.of_settings(settings), source=source)
        gathering = Gathering()
        files = documents.in_folder(settings, most=MAX_HOST_BYTES)
        machines = [told for each in files if (told := _in_file(gathering, each, source)) is not None]
        if not machines:
            raise _no_facts("settings.path", str(settings["path"]))
        facts.add(gathering, machines)
        return gathering.observation()

    def read(self, settings: Mapping[str, Any], document: Document, *, source: str) -> Observation:
        """Return what a file says: the facts of one host, or of several, one after the other. Raises Invalid.

        One host alone proves nothing about the others of this source.
        """
        found = documents.jsons_of(document)
        gathering = Gathering()
        machines = []
        for place, each in enumerate(found, 1):
            told = facts.facts_of(each)
            if told is None:
                gathering.partial(f"{place}: {facts.why_none(each)}")
                continue
            machines.append(facts.machine(told, source=source, file="", seen_at=_past(facts.gathered_at(told))))
        if not machines:
            raise _no_facts("file", document.name)
        facts.add(gathering, machines)
        if len(found) == 1:
            gathering.partial("the facts of one host: nothing follows for the others")
        return gathering.observation()


SOURCE = AnsibleFactsSource()


def _in_file(gathering: Gathering, each: Filed, source: str) -> facts.Machine | None:
    if each.body is None:
        gathering.partial(f"{each.name}: {each.why}")
        return None
    try:
        found = json.loads(each.body)
    except (ValueError, RecursionError):
        gathering.partial(f"{each.name}: no JSON, or cut off")
        return None
    told = facts.facts_of(found)
    if told is None:
        gathering.partial(f"{each.name}: {facts.why_none(found)}")
        return None
    return facts.machine(told, source=source, file=each.name, seen_at=each.changed_at)


def _past(moment: datetime | None) -> datetime | None:
    return moment if moment is not None and moment < timezone.now() else None


def _no_facts(field: str, value: str) -> Invalid:
    return Invalid(
        "ansible_facts.none",
        _("Nothing here holds the facts of a host."),
        field=field,
        value=value,
        remedy=_("Give what `ansible -m ansible.builtin.setup --tree` or a fact cache of jsonfile wrote."),
    )
