"""Makes one observation of what a sweep found. Pure.

An address is not a machine: it moves to another one tomorrow. A host is known by its name where that leads back to the
address, and then by its name alone; what has no name is known as the thing at its address. An address that somebody
else says a thing has is recorded already, and is no second host.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.x509.oid import NameOID

from tongchou.integrations.sweep.scan import Found
from tongchou.inventory import connections, identity, ip_plan
from tongchou.inventory.connections import SeenUse
from tongchou.inventory.gather import Gathering, plain
from tongchou.inventory.observation import Observation

MAX_NAMES = 100  # alternative names of one certificate
_ALGORITHMS = {
    rsa.RSAPublicKey: "RSA",
    ec.EllipticCurvePublicKey: "EC",
    ed25519.Ed25519PublicKey: "Ed25519",
    ed448.Ed448PublicKey: "Ed448",
    dsa.DSAPublicKey: "DSA",
}


def observe(
    found: Iterable[Found], names: Mapping[str, str | None], recorded: Collection[str], gathering: Gathering
) -> Observation:
    """Return what is in use. `names`: as names.names_of, "" for an address that is left out; `recorded`: addresses."""
    hosts: dict[tuple[str, ...], list[Found]] = {}
    uses: list[SeenUse] = []
    listed = sorted(found, key=lambda each: ip_plan.parse(each.address) or ())
    for each in listed:
        name = names.get(each.address, "")
        if name is None:
            gathering.partial(f"{each.address}: the resolver did not answer what it is called")
            continue
        keys = identity.keys(identity.fqdn_key(name)) or (identity.key("sweep", each.address),)
        if each.address not in recorded:
            hosts.setdefault(keys, []).append(each)
        for der in each.certificates.values():
            certificate = _certificate(der, gathering)
            ends = (*(keys if each.address not in recorded else ()), connections.place(each.address))
            uses += [SeenUse(ends, (certificate,))] if certificate else []
    for keys, parts in hosts.items():
        name = names.get(parts[0].address) or parts[0].address
        gathering.add("host", name, keys, _facts(parts))
    return replace(gathering.observation(), uses=tuple(uses))


def _facts(parts: Iterable[Found]) -> dict[str, Any]:
    """What is known of a machine at one or several addresses."""
    parts = list(parts)
    banners = {line for each in parts for line in map(_ssh, each.open.values()) if line}
    return {
        "address": parts[0].address,
        "addresses": [each.address for each in parts] if len(parts) > 1 else [],
        "open_ports": sorted({port for each in parts for port in each.open}),
        "ssh_banner": ", ".join(sorted(banners)),
    }


def _ssh(banner: bytes) -> str:
    return plain(banner.decode("utf-8", "replace"), 255) if banner.startswith(b"SSH-") else ""


# --- certificates -----------------------------------------------------------------------------------------------------


def _certificate(der: bytes, gathering: Gathering) -> str | None:
    """Add a certificate, known by its fingerprint wherever it is served; None for one that cannot be read."""
    try:
        facts = certificate_facts(der)
    except (ValueError, TypeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return None
    named = [*facts["alternative_names"], facts["subject"], facts["sha256_fingerprint"]]
    key = identity.key("certificate", facts["sha256_fingerprint"])
    return gathering.add("certificate", next(filter(None, named)), (key,), facts)


def certificate_facts(der: bytes) -> dict[str, Any]:
    """Return the fields that a certificate has in the catalogue; raises ValueError for what is none."""
    found = x509.load_der_x509_certificate(der)
    key = found.public_key()
    return {
        "subject": _common_name(found.subject),
        "alternative_names": _alternative_names(found),
        "issuer": _common_name(found.issuer),
        "not_before": _moment(found.not_valid_before_utc),
        "not_after": _moment(found.not_valid_after_utc),
        "serial": f"{found.serial_number:x}",
        "sha256_fingerprint": found.fingerprint(hashes.SHA256()).hex(),
        "key_algorithm": next((name for sort, name in _ALGORITHMS.items() if isinstance(key, sort)), ""),
        "key_bits": getattr(key, "key_size", None),
    }


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return plain(found[0].value if found else name.rfc4514_string(), 250)


def _alternative_names(found: x509.Certificate) -> list[str]:
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    hosts = [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]
    return sorted({plain(each, 253) for each in hosts})[:MAX_NAMES]


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
