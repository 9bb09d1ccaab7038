"""Under which names a thing's own addresses stand in its attributes, and how they are written there.

Pure. One list for all who look: the IP plan takes for used what an Ansible inventory would connect to.
"""

from __future__ import annotations

# The first attribute that holds an address of a family decides for it: private and public are not mixed.
ADDRESSES = (
    *("ansible_host", "address", "primary_ip", "primary_ip4", "primary_ip6", "ip", "ip_address"),
    *("private_ip", "private_ips", "addresses", "ipv4", "ipv6", "public_ip", "public_ips"),
)
PUBLIC = ("public_ip", "public_ips")
MANAGEMENT = "management_address"


def bare(text: object) -> str:
    """Return the address in "10.0.0.5/24", "10.0.0.5:9100", "[fd00::5]:9100" or "fe80::1%eth0"; "" of no text."""
    if not isinstance(text, str) or len(text) > 100:
        return ""
    found = text.strip().partition("/")[0].partition("%")[0]
    if found.startswith("["):
        return found[1:].partition("]")[0]
    return found.partition(":")[0] if found.count(":") == 1 else found
