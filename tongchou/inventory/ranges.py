"""Which addresses a source may ask: those of the ranges an administrator listed, and none besides.

Pure, but for what this installation allows and forbids (core.http: TONGCHOU_HTTP_ALLOW, TONGCHOU_HTTP_DENY).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.core import http
from tongchou.core.problems import Invalid

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
FIELD = "settings.ranges"


def setting(description: Any) -> dict[str, Any]:
    """Return the setting `ranges` for a schema of settings. `description`: in the reader's language, with the limit."""
    items = {"type": "string", "maxLength": 80}
    return {"type": "array", "items": items, "title": _("Ranges"), "description": description}


def addresses(ranges: Iterable[str], *, most: int) -> list[str]:
    """Return the addresses of the ranges, each once and in order, without an IPv4 prefix's first and last one.

    Raises Invalid for no range, for what is no prefix, for more than `most` addresses, and for an address that this
    installation does not reach (loopback, link-local, metadata of clouds and the like), before anything is asked.
    """
    networks = [_network(place, text) for place, text in enumerate(ranges)]
    if not networks:
        raise Invalid(
            "ranges.none",
            _("No range is listed, so there is nothing to ask."),
            field=FIELD,
            remedy=_("List addresses or prefixes, e.g. 10.0.4.0/24."),
        )
    count = sum(each.num_addresses for each in networks)
    if count > most:
        raise Invalid(
            "ranges.too_many",
            _("These ranges have %(count)s addresses; at most %(most)s are asked.")
            % {"count": f"{count:,}" if count < 10**9 else "10^9", "most": f"{most:,}"},
            field=FIELD,
            value=max(networks, key=lambda each: each.num_addresses).with_prefixlen,
            remedy=_("List smaller prefixes, or split them over several sources."),
        )
    found = dict.fromkeys(each for network in networks for each in _hosts(network))
    for each in found:
        why = http.refusal(str(each), each)
        if why:
            raise Invalid(
                "ranges.refused",
                _("An address of these ranges may not be reached: %(why)s") % {"why": why},
                field=FIELD,
                value=str(each),
                remedy=_("Leave it out; an administrator may list it in TONGCHOU_HTTP_ALLOW."),
            )
    return [str(each) for each in sorted(found, key=lambda each: (each.version, int(each)))]


def _network(place: int, text: str) -> Network:
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError as error:
        raise Invalid(
            "ranges.unreadable",
            _("This is no address and no prefix."),
            field=f"{FIELD}[{place}]",
            value=text,
            remedy=_("Write it like 10.0.4.0/24 or 10.0.4.7."),
        ) from error


def _hosts(network: Network) -> Iterator[http.Address]:
    """The addresses things may have; of IPv6 all, for there the first one is a router's anycast address at most."""
    yield from network.hosts() if network.version == 4 else network
