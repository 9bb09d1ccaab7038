"""The inventory source "services": databases, queues and caches, named by what they say of themselves.

Asks only what settings name, and only addresses that may be reached (TONGCHOU_HTTP_ALLOW for this host's own). Nothing
but the secrets' logins to PostgreSQL, MariaDB and MySQL is ever shown to a server.
"""

from __future__ import annotations

import re
import ssl
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from tongchou.core import secrets
from tongchou.core.problems import Invalid, Unavailable
from tongchou.integrations.host import facts as host_facts
from tongchou.integrations.services import brokers, mysql_login, places, schema, sql, stores
from tongchou.integrations.services.places import Place
from tongchou.integrations.services.talk import MAX_SCHEMA_BYTES, Found, Talk, UnexpectedError, addresses_of, talk
from tongchou.inventory import identity, remote, source_settings
from tongchou.inventory.gather import Gathering
from tongchou.inventory.observation import Observation, ObservedRelation, ObservedResource
from tongchou.inventory.uses import hosts_by_address
from tongchou.wire.host import sockets
from tongchou.wire.host.facts import REFUSED

MAX_ADDRESSES = 500
LOOK_SECONDS = 240.0  # the job that looks is given 300
AT_ONCE = 16
MAX_LOGINS = 500
_TALKS: dict[str, Callable[[Talk], Found]] = {
    "postgresql": sql.postgresql,
    "mysql": sql.mysql,
    "redis": stores.redis,
    "memcached": stores.memcached,
    "mongodb": stores.mongodb,
    "amqp": brokers.amqp,
    "nats": brokers.nats,
    "mqtt": brokers.mqtt,
    "kafka": brokers.kafka,
}
_OVER_HTTP = {"elasticsearch": stores.elasticsearch, "etcd": stores.etcd}
# what an answer that nobody foresaw may do to its reader
UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, struct.error)
_LOGIN = frozenset({"host", "port", "user", "password", "dbname", "sslmode"})
_IN_PATH = re.compile(r"/(?:postgresql|postgres|pgsql)[/-](\d{1,2}(?:\.\d+)?)/")  # /usr/lib/postgresql/15/bin/postgres


class ServicesSource:
    """Says hello to each server once a look. What one says of itself it knows better than who wrote it down."""

    kind: str = "services"
    title: Any = _("Databases and brokers")
    precedence: int = 290
    interval_seconds: float = 300.0
    settings_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "addresses": {
                "type": "array",
                "default": [],
                "items": {"type": "string", "maxLength": 300},
                "description": _("host:port, at another port than the usual one protocol://host:port"),
            },
            "this_host": {
                "type": "boolean",
                "default": False,
                "description": _("also what listens on this host and is known by its port or program"),
            },
            **source_settings.NODE,
            "postgresql_secret": {
                "type": "string",
                "maxLength": 120,
                "description": _("name of the secret with logins to PostgreSQL, one connection string a line"),
            },
            "mysql_secret": {
                "type": "string",
                "maxLength": 120,
                "description": _("name of the secret with logins to MariaDB and MySQL, host=... user=... a line"),
            },
            "schemas": {
                "type": "boolean",
                "default": True,
                "description": _("also what the tables look like, of databases with a login"),
            },
            "ca_certificate": remote.REMOTE_SETTINGS["ca_certificate"],
            "timeout_seconds": {
                "type": "number",
                "minimum": 0.1,
                "maximum": 30,
                "default": 5,
                "description": _("how long the talk with one server may take"),
            },
        },
    }

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Fill in defaults; raises Invalid naming the field."""
        found = source_settings.filled(self.settings_schema, settings)
        remote.tls(found)
        if len(found["addresses"]) > MAX_ADDRESSES:
            raise Invalid(
                "services.addresses",
                _("More than %(most)s addresses.") % {"most": f"{MAX_ADDRESSES:,}"},
                field="settings.addresses",
                value=f"{len(found['addresses']):,}",
                remedy=_("Split them over several sources."),
            )
        if not places.places(found["addresses"]) and not found["this_host"]:
            raise Invalid(
                "services.nothing",
                _("Nothing is named that could be asked."),
                field="settings.addresses",
                remedy=_("Name at least one address, or turn this_host on."),
            )
        return found

    def of_node(self, settings: Mapping[str, Any]) -> bool:
        """Where it asks what listens on this host, too."""
        return settings.get("this_host") is True

    def fetch(self, settings: Mapping[str, Any], *, source: str) -> Observation:
        """Ask every server once. One that answers otherwise is told of; raises Unavailable when all do."""
        gathering = Gathering()
        named = places.places(settings["addresses"])
        taken = {(each.host, each.port) for each in named}
        if settings["this_host"]:
            try:
                named += [each for each in places.of_this_host() if (each.host, each.port) not in taken]
            except REFUSED as error:
                gathering.partial(f"what listens on this host: {type(error).__name__}")
        asking = _Asking(
            float(settings["timeout_seconds"]),
            remote.tls(settings) or ssl.create_default_context(),
            _logins(settings.get("postgresql_secret", ""), 5432, gathering)
            | _logins(settings.get("mysql_secret", ""), 3306, gathering),
            settings["schemas"],
            time.monotonic() + LOOK_SECONDS,
        )
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="services") as pool:
            answers = list(pool.map(asking.ask, named))
        if named and not any(each.found for each in answers):
            raise Unavailable(
                "services.none",
                _("No server answered as it should: %(why)s") % {"why": "; ".join(e.why for e in answers[:5])},
                field="settings.addresses",
                remedy=_("See that they run, and that this host may reach them; nothing known was changed."),
            )
        own = host_facts.this_host()
        _tell(gathering, answers, _hosts(answers, own), own)
        return gathering.observation()


SOURCE = ServicesSource()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of asking one server: what it is, or why that is not known; and a remark for people."""

    place: Place
    addresses: tuple[str, ...] = ()
    found: Found | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Asking:
    """How servers are asked. Used by several threads, none of which touches the database."""

    timeout_seconds: float
    tls: ssl.SSLContext
    logins: Mapping[tuple[str, int], Mapping[str, str]]
    schemas: bool
    until: float

    def ask(self, place: Place) -> Answer:
        if time.monotonic() >= self.until:
            return Answer(place, why=f"{place} was not asked: the whole look took over {LOOK_SECONDS:g} s")
        until = min(self.until, time.monotonic() + self.timeout_seconds)
        addresses: list[str] = []
        try:
            addresses = addresses_of(place.host, place.port)
            return self._talked(place, addresses, until)
        except UnexpectedError as error:
            return Answer(place, tuple(addresses), why=f"{place} ({place.protocol}) {error}")
        except UNREADABLE as error:
            said = f"{place} ({place.protocol}) gave an answer that cannot be read ({type(error).__name__})"
            return Answer(place, tuple(addresses), why=said)

    def _talked(self, place: Place, addresses: list[str], until: float) -> Answer:
        over_http = _OVER_HTTP.get(place.protocol)
        if over_http is not None:
            url = f"{'https' if place.tls else 'http'}://{place}"
            return Answer(place, tuple(addresses), over_http(url, until, self.tls if place.tls else None))
        with talk(place.host, addresses, place.port, until, self.tls if place.tls else None) as opened:
            found = _TALKS[place.protocol](opened)
        login = self.logins.get((place.host, place.port))
        signed_in = {"postgresql": self._postgresql, "mysql": self._mysql}.get(place.protocol)
        if login is not None and signed_in is not None:
            return signed_in(place, addresses, found, login)
        match = _IN_PATH.search(place.program) if place.protocol == "postgresql" else None
        return Answer(place, tuple(addresses), replace(found, version=match[1]) if match else found)

    def _postgresql(self, place: Place, addresses: list[str], found: Found, login: Mapping[str, str]) -> Answer:
        fresh = time.monotonic() + self.timeout_seconds
        try:
            found, connection = sql.signed_in(addresses[0], place.port, login, fresh)
            with connection:
                if self.schemas:
                    found.more.update(schema.attributes(sql.tables(connection, self.timeout_seconds)))
        except UnexpectedError as error:
            return Answer(place, tuple(addresses), found, f"{place} (postgresql): {error}")
        return Answer(place, tuple(addresses), found)

    def _mysql(self, place: Place, addresses: list[str], found: Found, login: Mapping[str, str]) -> Answer:
        if not self.schemas:
            return Answer(place, tuple(addresses), found)
        fresh = time.monotonic() + self.timeout_seconds
        try:
            with talk(place.host, addresses, place.port, fresh, most=MAX_SCHEMA_BYTES) as opened:
                found.more.update(schema.attributes(mysql_login.tables(opened, login, self.tls)))
        except UnexpectedError as error:
            return Answer(place, tuple(addresses), found, f"{place} (mysql): {error}")
        return Answer(place, tuple(addresses), found)


def _logins(name: str, usual: int, gathering: Gathering) -> dict[tuple[str, int], Mapping[str, str]]:
    """The logins in a secret, by host and port, `usual` of none. A line that is none is told of by its number alone."""
    found: dict[tuple[str, int], Mapping[str, str]] = {}
    lines = secrets.reveal(name).splitlines()[:MAX_LOGINS] if name else []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            known = {key: str(value) for key, value in conninfo_to_dict(line.strip()).items() if value is not None}
            port = int(known.get("port", str(usual)))
        except (ProgrammingError, ValueError):
            known, port = {}, 0
        if not known.get("host") or not known.get("user") or not known.keys() <= _LOGIN:
            gathering.warn(f"line {number} of the secret is no login with host, user and no more than {sorted(_LOGIN)}")
            continue
        found[known["host"].lower(), port] = known
    return found


def _hosts(answers: Sequence[Answer], own: ObservedResource) -> dict[str, str]:
    """Addresses -> the identity key of the machine that has them; this host's own, loopback too, among them."""
    known = hosts_by_address() if any(each.found for each in answers) else {}
    here = {
        "127.0.0.1",
        "::1",
        *sockets.own_addresses(),
        *(a for e in answers for a in e.addresses if a.startswith("127.")),
    }
    return {**known, **dict.fromkeys(here, own.keys[0])}


def _tell(gathering: Gathering, answers: Sequence[Answer], hosts: Mapping[str, str], own: ObservedResource) -> None:
    """Add what was found, and its relations: their other ends this source does not see itself."""
    told: set[str] = set()
    for each in answers:
        if each.why:
            gathering.partial(each.why)
        if each.found is None:
            continue
        place, found = each.place, each.found
        machine = next((hosts[address] for address in each.addresses if address in hosts), None)
        here = machine == own.keys[0]
        keys = identity.keys(
            f"{machine}/service:{place.port}" if machine else None,
            None if here else identity.key("service-at", str(place)),
        )
        if keys[0] in told:  # one server under two addresses
            continue
        told.add(keys[0])
        shown = f"{own.name}:{place.port}" if here else str(place)
        attributes = {
            "engine": found.engine, "version": found.version, "role": found.role,
            "address": place.host, "port": place.port, **found.more,
        }  # fmt: skip
        gathering.add(found.kind, f"{found.engine} {shown}", keys, attributes)
        if machine:
            gathering.relate("runs_on", keys[0], machine)
            # who is seen to use the port uses what is behind it
            gathering.relate("part_of", f"{machine}/tcp:{place.port}", keys[0])
        else:
            ends = tuple((keys[0], f"{sort}:{place.host}") for sort in ("fqdn", "name"))
            gathering.relation(ObservedRelation("runs_on", ends, origin="observed"))
