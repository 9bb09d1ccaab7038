"""The inventory source "snmp": switches, routers and hosts at listed addresses, their interfaces and links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from tongchou.core import secrets
from tongchou.core.problems import Invalid, Unavailable
from tongchou.integrations.snmp import describe
from tongchou.integrations.snmp.asking import Access, Answer, Asking
from tongchou.integrations.snmp.device import Device
from tongchou.inventory import ranges, source_settings
from tongchou.inventory.gather import Gathering
from tongchou.inventory.observation import Observation

try:
    from tongchou.integrations.snmp import session
except ModuleNotFoundError:  # an upgrade whose packages are not installed yet: all other sources go on
    session = None  # type: ignore[assignment]  # fetch says so

MAX_ADDRESSES = 1024
LEAST_PASSPHRASE = 8  # of a user's keys, RFC 3414, 11.2
_SECRET: dict[str, Any] = {"type": "string", "maxLength": 120}


class SnmpSource:
    """Asks every listed address, read only. A silent one is not seen in this look; silence of all proves nothing."""

    kind: str = "snmp"
    title: Any = _("SNMP")
    precedence: int = 240  # below what people documented in NetBox
    interval_seconds: float = 900.0
    settings_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "required": ["ranges"],
        "additionalProperties": False,
        "properties": {
            "ranges": ranges.setting(_("addresses and prefixes, e.g. 10.0.4.0/24; at most 1,024 addresses")),
            "port": {
                "type": "integer",
                "minimum": 1,
                "maximum": 65_535,
                "default": 161,
                "description": _("UDP port of the devices"),
            },
            "version": {
                "type": "string",
                "enum": ["2c", "3"],
                "default": "2c",
                "description": _("of SNMP: 2c with a community in clear text, or 3 with a user and keys"),
            },
            "community_secret": {
                **_SECRET,
                "description": _("version 2c: name of the secret that holds the community"),
            },
            "user": {"type": "string", "maxLength": 32, "description": _("version 3: name of the user")},
            "auth": {
                "type": "string",
                "enum": ["SHA-256", "SHA"],
                "default": "SHA-256",
                "description": _("version 3: how answers prove where they come from"),
            },
            "auth_secret": {
                **_SECRET,
                "description": _("version 3: name of the secret that holds the passphrase for it"),
            },
            "priv_secret": {
                **_SECRET,
                "description": _("version 3: name of the secret with the passphrase of AES; empty: not encrypted"),
            },
            "timeout_seconds": {
                "type": "number",
                "minimum": 0.2,
                "maximum": 10,
                "default": 2,
                "description": _("how long one answer may take"),
            },
            "retries": {"type": "integer", "maximum": 3, "default": 1, "description": _("how often it is asked again")},
            "concurrency": {
                "type": "integer",
                "minimum": 1,
                "maximum": 128,
                "default": 32,
                "description": _("how many devices are asked at once"),
            },
            "port_state": {
                "type": "boolean",
                "default": True,
                "description": _(
                    "also whether interfaces are up and how fast; it changes as people plug and switch off"
                ),
            },
        },
    }

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Fill in defaults; raises Invalid naming the field."""
        found = source_settings.filled(self.settings_schema, settings)
        ranges.addresses(found["ranges"], most=MAX_ADDRESSES)
        for name in ("community_secret",) if found["version"] == "2c" else ("user", "auth_secret"):
            if not found.get(name):
                raise Invalid(
                    "snmp.access",
                    _("Version %(version)s wants this setting.") % {"version": found["version"]},
                    field=f"settings.{name}",
                    remedy=_("Give community_secret for version 2c, user and auth_secret for version 3."),
                )
        return found

    def fetch(self, settings: Mapping[str, Any], *, source: str) -> Observation:
        """Ask each address once. Raises Unavailable when none of them tells anything."""
        if session is None:
            raise Unavailable(
                "snmp.library",
                _("The library that speaks SNMP (pysnmp) is not installed."),
                remedy=_("Install the packages of this release: pip install --require-hashes -r requirements.txt."),
            )
        addresses = ranges.addresses(settings["ranges"], most=MAX_ADDRESSES)
        asking = Asking(
            settings["port"], settings["timeout_seconds"], int(settings["retries"]), int(settings["concurrency"])
        )
        answers = session.ask_all(addresses, _access(settings), asking)
        told = [each for each in answers if not each.silent and not each.why]
        refused = [each for each in answers if each.why]
        if not told:
            raise _nothing(refused, len(addresses), settings)
        gathering = Gathering()
        for each in refused:
            gathering.partial(f"{each.address}: {each.why}")
        devices = [Device(each.address, each.tables, source, settings["port_state"]) for each in told]
        describe.observe(devices, gathering)
        return gathering.observation()


SOURCE = SnmpSource()


def _access(settings: Mapping[str, Any]) -> Access:
    if settings["version"] == "2c":
        return Access(community=secrets.reveal(settings["community_secret"]).strip())
    priv = settings.get("priv_secret")
    keys = {
        name: secrets.reveal(settings[name]).strip() for name in ("auth_secret", *(["priv_secret"] if priv else []))
    }
    for name, key in keys.items():
        if len(key) < LEAST_PASSPHRASE:
            raise Invalid(
                "snmp.passphrase",
                _("A passphrase of SNMP has at least %(least)s characters.") % {"least": LEAST_PASSPHRASE},
                field=f"settings.{name}",
                remedy=_("Store the passphrase that the devices have under the secret's name."),
            )
    return Access("", settings["user"], settings["auth"], keys["auth_secret"], keys.get("priv_secret", ""))


def _nothing(refused: Sequence[Answer], count: int, settings: Mapping[str, Any]) -> Unavailable:
    """Why a look at nothing at all says nothing: the way there is more likely broken than every device gone."""
    field = "community_secret" if settings["version"] == "2c" else "auth_secret"
    if any(each.denied for each in refused):
        return Unavailable(
            "snmp.denied",
            _("%(address)s does not tell this user anything: %(why)s")
            % {"address": refused[0].address, "why": refused[0].why},
            field=f"settings.{field}",
            remedy=_("Compare user, keys and access on the device; nothing known was changed."),
        )
    why = refused[0].why if refused else _("no answer")
    return Unavailable(
        "snmp.silent",
        _("None of %(count)s addresses told anything: %(why)s") % {"count": f"{count:,}", "why": why},
        field="settings.ranges",
        remedy=_("Check port and community (with a wrong one devices are silent); nothing known was changed."),
    )
