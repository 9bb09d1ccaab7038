"""A zone with a serial number that only grows: it changes when the content does, and never goes back."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core import settings_store
from tongchou.core.problems import Conflict, Invalid
from tongchou.inventory.given import dns
from tongchou.inventory.given.addresses import domain_name
from tongchou.inventory.given.gathered import Given
from tongchou.inventory.models_given import ZoneSerial

DOMAIN = "inventory.dns_domain"
NAMESERVER = "inventory.dns_nameserver"
CONTACT = "inventory.dns_contact"
TTL = "inventory.dns_ttl_seconds"
TRIES = 5


def domain() -> str:
    """The domain that names without a dot are in; "" when none is set."""
    return str(settings_store.get(DOMAIN))


def ttl_seconds() -> int:
    """How long a record may be remembered."""
    return int(settings_store.get(TTL))


def _soa(zone: str) -> dns.Soa:
    home = domain() or ("localhost" if dns.is_reverse(zone) else zone)
    contact = dns.contact_name(str(settings_store.get(CONTACT)))
    return dns.Soa(str(settings_store.get(NAMESERVER)) or f"ns1.{home}", contact or f"hostmaster.{home}", ttl_seconds())


def zone_name(zone: str) -> str:
    """The name of a zone in lower case, without a final dot. Raises Invalid for what is none."""
    name = domain_name(zone)
    if name is None:
        raise Invalid(
            "dns.zone",
            _("This is no name of a zone."),
            field="zone",
            value=zone,
            remedy=_("Write it like example.org, 10.in-addr.arpa or d.f.ip6.arpa."),
        )
    return name


def zone_file(given: Sequence[Given], zone: str) -> str:
    """The text of a zone, by its `zone_name`, of these resources."""
    known, soa = dns.names(given, domain()), _soa(zone)
    rows = dns.records(known, zone)
    serial = serial_of(zone, dns.digest(zone, soa, rows)) if rows else int(timezone.now().timestamp())
    return dns.zone_text(zone, soa, serial, rows, dns.told(known, ";"))


def serial_of(zone: str, digest: str) -> int:
    """The serial of a zone with this content: the last one, or a greater one when the content is another.

    It is the time in Unix seconds, or one more than the last, whichever is greater (RFC 1982 holds until 2106).
    Only zones with records have a row, so their number is bounded by the names in the inventory.
    """
    for _try in range(TRIES):
        now = int(timezone.now().timestamp())
        row = ZoneSerial.objects.filter(zone=zone).first()
        if row is None:
            try:
                with transaction.atomic():
                    return ZoneSerial.objects.create(zone=zone, digest=digest, serial=now).serial
            except IntegrityError:
                continue  # somebody else was first: look again
        if row.digest == digest:
            return row.serial
        serial = max(now, row.serial + 1)
        if ZoneSerial.objects.filter(zone=zone, serial=row.serial).update(digest=digest, serial=serial):
            return serial
    raise Conflict("dns.busy", _("The zone is being written by many at once."), remedy=_("Try again."))
