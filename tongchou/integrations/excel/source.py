"""The inventory source "excel": a spreadsheet with a mapping of its columns, read from a folder or handed over.

The import of a file (POST /imports) states what a person says, once; this source is a sheet that somebody keeps: what
is no longer in it is given up, as with every source.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from tongchou.core.lists import reading
from tongchou.core.problems import Invalid
from tongchou.inventory import checks, documents, identity, source_settings
from tongchou.inventory.documents import FILE_SETTINGS, Document
from tongchou.inventory.gather import Gathering, plain
from tongchou.inventory.observation import Observation, ObservedRelation, service_key
from tongchou.inventory.reconcile import NAME_PREFIX

OWN = "own"  # a key that is unique within this sheet only, such as an asset number
KEYS = (OWN, *identity.SORTS)
_SEVERAL = re.compile(r"[;,，；、\n]+")
_WHOLE = re.compile(r"\A(?:0|-?[1-9]\d{0,14})\Z")
_MAP: dict[str, Any] = {"type": "object", "default": {}, "additionalProperties": {"type": "string", "maxLength": 120}}


class ExcelSource:
    """Reads the first sheet of a workbook, a CSV (UTF-8 or GB18030) or a list of JSON objects."""

    kind: str = "excel"
    title: Any = _("Spreadsheet (Excel, CSV)")
    precedence: int = 160
    declares: bool = True  # a sheet holds what somebody means to be so
    interval_seconds: float = 600.0
    settings_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            **FILE_SETTINGS,
            "kind": {
                "type": "string",
                "default": "host",
                "maxLength": 64,
                "description": _("the kind of every row, unless kind_column says more"),
            },
            "kind_column": {
                "type": "string",
                "maxLength": 120,
                "description": _("the column with the kind of the row"),
            },
            "kinds": {**_MAP, "description": _("what words in that column mean: word, then kind")},
            "name_column": {
                "type": "string",
                "default": "name",
                "maxLength": 120,
                "description": _("the column with the name of the row"),
            },
            "owner_column": {
                "type": "string",
                "maxLength": 120,
                "description": _("the column with the owning team's name"),
            },
            "keys": {
                **_MAP,
                "description": _(
                    "columns that identify a row, strongest first: column, then own, serial, uuid, machine-id, fqdn,"
                    " mac or the name of a cloud"
                ),
            },
            "attributes": {**_MAP, "description": _("columns that become attributes: column, then attribute")},
            "labels": {**_MAP, "description": _("columns that become labels: column, then label")},
            "relations": {
                **_MAP,
                "description": _(
                    "columns with names of other things: column, then type of the relation, ^type the other way"
                ),
            },
        },
    }

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Fill in defaults and check the mapping; raises Invalid naming the field."""
        found = source_settings.filled(self.settings_schema, settings)
        checks.kind(found["kind"], "settings.kind")
        for word, kind in found["kinds"].items():
            checks.kind(kind, f"settings.kinds.{word}")
        for column, sort in found["keys"].items():
            if sort not in KEYS:
                raise Invalid(
                    "excel.key",
                    _("There is no key of this sort."),
                    field=f"settings.keys.{column}",
                    value=sort,
                    remedy=_("Use one of: %(known)s.") % {"known": ", ".join(KEYS)},
                )
        for column, type_ in found["relations"].items():
            checks.relation_type(type_.removeprefix("^"), f"settings.relations.{column}")
        checks.attributes(dict.fromkeys(found["attributes"].values()), "settings.attributes")
        checks.labels(dict.fromkeys(found["labels"].values(), ""), "settings.labels")
        return found

    def fetch(self, settings: Mapping[str, Any], *, source: str) -> Observation:
        """Read the file of the settings once; raises Problem, and then nothing known is touched."""
        return self.read(settings, documents.of_settings(settings, most=reading.MAX_BYTES), source=source)

    def read(self, settings: Mapping[str, Any], document: Document, *, source: str) -> Observation:
        """Return what a sheet says. Raises Problem for a file that cannot be read, or lacks a column of the mapping.

        A row without a name, of no legal kind, or with the keys of an earlier one is left out and told of, and then
        absence proves nothing.
        """
        return _Reading(settings, reading.read(document.name, document.body), source).observation()


SOURCE = ExcelSource()


class _Reading:
    """One sheet under one mapping."""

    def __init__(self, settings: Mapping[str, Any], sheet: reading.Sheet, source: str) -> None:
        self._settings = settings
        self._sheet = sheet
        self._source = source
        self._gathering = Gathering()
        self._relations: list[ObservedRelation] = []
        self._places = {name: place for place, name in enumerate(sheet.columns)}
        self._need(settings["name_column"], "name_column")
        for field in ("kind_column", "owner_column"):
            if settings.get(field):
                self._need(settings[field], field)
        for field in ("keys", "attributes", "labels", "relations"):
            for column in settings[field]:
                self._need(column, f"{field}.{column}")

    def _need(self, column: str, field: str) -> None:
        if column.strip().lower() not in self._places:
            raise Invalid(
                "excel.column",
                _("The sheet has no column of this name."),
                field=f"settings.{field}",
                value=column,
                remedy=_("Its columns are: %(columns)s.") % {"columns": ", ".join(self._sheet.columns)[:300]},
            )

    def _cell(self, cells: list[str], column: str) -> str:
        place = self._places[column.strip().lower()]
        return cells[place].strip() if place < len(cells) else ""

    def observation(self) -> Observation:
        taken: dict[str, int] = {}
        for number, cells in self._sheet.rows:
            name = plain(self._cell(cells, self._settings["name_column"]))
            kind = self._kind(cells)
            if not name or not kind:
                self._gathering.partial(f"row {number}: left out, it has no {'kind' if name else 'name'}")
                continue
            keys = self._keys(cells, kind, name)
            earlier = next((taken[key] for key in keys if key in taken), None)
            if earlier is not None:
                self._gathering.partial(f"row {number}: left out, it is known by the same keys as row {earlier}")
                continue
            taken.update(dict.fromkeys(keys, number))
            self._row(cells, kind, name, keys)
        seen = self._gathering.observation()
        return Observation(
            seen.resources, tuple(dict.fromkeys(self._relations)), (), complete=seen.complete, warnings=seen.warnings
        )

    def _kind(self, cells: list[str]) -> str:
        column = self._settings.get("kind_column")
        word = self._cell(cells, column) if column else ""
        if not word:
            return str(self._settings["kind"])
        kind = self._settings["kinds"].get(word, word.lower().replace(" ", "_"))
        try:
            return checks.kind(kind)
        except Invalid:
            return ""

    def _keys(self, cells: list[str], kind: str, name: str) -> tuple[str, ...]:
        found = [self._key(sort, column, self._cell(cells, column)) for column, sort in self._settings["keys"].items()]
        if kind == "service":
            found.append(service_key(name))
        if not any(found):
            found.append(identity.key("excel", self._source, kind, name))
        return identity.keys(*found)

    def _key(self, sort: str, column: str, text: str) -> str | None:
        if not text or sort == OWN:
            return identity.key("excel", self._source, column.strip().lower(), text) if text else None
        return identity.key_of(sort, text)

    def _row(self, cells: list[str], kind: str, name: str, keys: tuple[str, ...]) -> None:
        owner_column = self._settings.get("owner_column")
        attributes = {said: _value(self._cell(cells, column)) for column, said in self._settings["attributes"].items()}
        labels = {said: self._cell(cells, column) for column, said in self._settings["labels"].items()}
        owner = self._cell(cells, owner_column) if owner_column else ""
        labels = {label: text for label, text in labels.items() if text}
        self._gathering.add(kind, name, keys, attributes, labels, owner or None)
        for type_, other in self._others(cells):
            ends = (keys[0], NAME_PREFIX + other)
            pair = (ends[1], ends[0]) if type_.startswith("^") else ends
            self._relations.append(ObservedRelation(type_.removeprefix("^"), (pair,)))

    def _others(self, cells: list[str]) -> Iterator[tuple[str, str]]:
        for column, type_ in self._settings["relations"].items():
            for other in filter(None, (plain(each) for each in _SEVERAL.split(self._cell(cells, column)))):
                yield type_, other


def _value(text: str) -> str | int | None:
    """A cell as a value: whole numbers as numbers, so that they compare with what other sources say."""
    return int(text) if _WHOLE.match(text) else text or None
