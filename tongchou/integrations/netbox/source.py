"""The inventory source "netbox": the REST API of a NetBox, page by page, or its CSV exports."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

from django.utils.translation import gettext_lazy as _

from tongchou.core import secrets
from tongchou.core.lists import reading
from tongchou.core.problems import Invalid, Problem, TooLarge
from tongchou.integrations.netbox import roles, sheets, things
from tongchou.integrations.netbox.things import Book
from tongchou.inventory import documents, kinds, remote, source_settings
from tongchou.inventory.documents import FILE_SETTINGS, Document
from tongchou.inventory.gather import Gathering, items, number
from tongchou.inventory.observation import Observation

PAGE = 250
MAX_PAGES = 400
_ON: dict[str, Any] = {"type": "boolean", "default": True}

# path, the setting that leaves it out, what reads an object
PARTS: tuple[tuple[str, str, Callable[[Book, Mapping[str, Any]], None]], ...] = (
    ("/api/dcim/sites/", "", things.site),
    ("/api/dcim/racks/", "", things.rack),
    ("/api/dcim/device-types/", "", things.device_type),
    ("/api/dcim/devices/", "", things.device),
    ("/api/virtualization/clusters/", "", things.cluster),
    ("/api/virtualization/virtual-machines/", "", things.machine),
    ("/api/dcim/interfaces/", "interfaces", things.interface),
    ("/api/virtualization/interfaces/", "interfaces", things.vm_interface),
    ("/api/ipam/vlans/", "networks", things.vlan),
    ("/api/ipam/prefixes/", "networks", things.prefix),
    ("/api/ipam/ip-addresses/", "addresses", things.address),
)


class NetboxSource:
    """Says what somebody documented: what is really there others observe."""

    kind: str = "netbox"
    title: Any = _("NetBox")
    precedence: int = 250
    declares: bool = True  # NetBox is where people write down what shall be so
    interval_seconds: float = 600.0
    settings_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            **remote.REMOTE_SETTINGS,
            **FILE_SETTINGS,
            "interfaces": {**_ON, "description": _("also the interfaces of devices and machines")},
            "networks": {**_ON, "description": _("also VLANs and prefixes")},
            "addresses": {**_ON, "description": _("also IP addresses")},
            "custom_fields": {
                "type": "array",
                "default": [],
                "items": {"type": "string", "maxLength": 120},
                "description": _("names of custom fields that become attributes; no other is read"),
            },
            "role_kinds": {
                "type": "array",
                "default": [],
                "items": {"type": "string", "maxLength": 200},
                "description": _(
                    "what devices of a role are, e.g. Core=switch, where the name of the role does not tell"
                ),
            },
            "tenant_is_owner": {
                "type": "boolean",
                "default": False,
                "description": _("the tenant is the name of the owning team"),
            },
        },
    }

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Fill in defaults; raises Invalid naming the field."""
        found = source_settings.filled(self.settings_schema, settings)
        remote.tls(found)
        if found.get("url") and found.get("path"):
            raise Invalid(
                "netbox.both",
                _("Either an address or a file is read."),
                field="settings.path",
                value=found["path"],
                remedy=_("Leave one of them out."),
            )
        _check_kinds(found["role_kinds"])
        return found

    def fetch(self, settings: Mapping[str, Any], *, source: str) -> Observation:
        """Ask for every list once. One that is refused makes the look a part; raises Problem when all of them are."""
        if not settings.get("url"):
            return self.read(settings, documents.of_settings(settings, most=reading.MAX_BYTES), source=source)
        token = secrets.reveal(settings["token_secret"]) if settings.get("token_secret") else ""
        scheme = "Bearer" if token.startswith("nbt_") else "Token"  # the second sort of tokens, since NetBox 4.5
        server = remote.Remote(settings, purpose="netbox", scheme=scheme)
        gathering = Gathering()
        book = _book(gathering, settings, source)
        refused: list[Problem] = []
        parts = [(path, add) for path, setting, add in PARTS if not setting or settings[setting]]
        for path, add in parts:
            try:
                for each in _pages(server, path, gathering):
                    add(book, each)
            except TooLarge:
                raise
            except Problem as problem:
                if remote.ends_look(problem):
                    raise
                refused.append(problem)
                gathering.partial(f"{path}: {problem.code}")
        if len(refused) == len(parts):
            raise refused[0]
        return gathering.observation()

    def read(self, settings: Mapping[str, Any], document: Document, *, source: str) -> Observation:
        """Return what a CSV export says; raises Problem."""
        gathering = Gathering()
        sheets.read(_book(gathering, settings, source), document.name, reading.read(document.name, document.body))
        return gathering.observation()


SOURCE = NetboxSource()


def _check_kinds(written: list[str]) -> None:
    known = {each.name for each in kinds.every(retired=False)} if written else set()
    for each in written:
        role, _equals, kind = each.rpartition("=")
        if not role.strip() or kind.strip() not in known:
            raise Invalid(
                "netbox.role_kinds",
                _("This is no role and the kind of its devices."),
                field="settings.role_kinds",
                value=each[:120],
                remedy=_("Write it like Core=switch, with one of the kinds of the inventory."),
            )


def _book(gathering: Gathering, settings: Mapping[str, Any], source: str) -> Book:
    place = urlsplit(settings["url"]).netloc.lower() if settings.get("url") else source
    return Book(
        gathering,
        place,
        fields=settings["custom_fields"],
        tenant_is_owner=settings["tenant_is_owner"],
        role_kinds=roles.pairs(settings.get("role_kinds", ())),
    )


def _pages(server: remote.Remote, path: str, gathering: Gathering) -> Iterator[dict[str, Any]]:
    """Every object of a list, each once.

    Each page asks for ids above the last one: by offset, an object would be passed over when an earlier one is deleted
    meanwhile. A server that does not know this filter is read by offset. `next` is never followed: it is an address
    that somebody else wrote.
    """
    seen: set[int] = set()
    last, by_offset = 0, False
    for _page in range(MAX_PAGES):
        place = {"offset": len(seen)} if by_offset else {"id__gt": last}
        answer = server.get(path, {"limit": PAGE, "ordering": "id", **place})
        found, total = items(answer, "results"), number(answer, "count")
        if total is None:
            raise Invalid("netbox.shape", _("This is no answer of NetBox's API."), field="settings.url", value=path)
        ids = [number(each, "id") or 0 for each in found]
        if not by_offset and last and any(id_ <= last for id_ in ids):
            by_offset = True
            continue
        for id_, each in zip(ids, found, strict=True):
            if id_ and id_ not in seen:
                seen.add(id_)
                yield each
        last = max(ids, default=last)
        if not found or (len(seen) if by_offset else len(found)) >= total:
            if by_offset and len(seen) < total:
                gathering.partial(f"{path}: {len(seen):,} of {total:,} were read")
            return
    gathering.partial(f"{path}: more than {MAX_PAGES * PAGE:,} objects; the rest was not read")
