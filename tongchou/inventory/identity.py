"""Identity keys that mean the same whoever reports them, so that two sources that see one thing make one resource.

Pure. A number that a vendor left empty ("To Be Filled By O.E.M.", all zeros) identifies nothing and gives no key.
"""

from __future__ import annotations

import hashlib
import re

from tongchou.inventory.observation import MAX_KEY

_EMPTY = re.compile(
    r"\A(?:to be filled.*|not (?:specified|applicable|available|present)|system serial number|default string|none|n/?a"
    r"|unknown|null|[0 .:-]*|f{8}-?f{4}-?f{4}-?f{4}-?f{12}|(?:ff:){5}ff|01234567890?|123456789)\Z",
    re.IGNORECASE,
)
_MAC = re.compile(r"\A(?:[0-9a-f]{2}[:.-]?){5}[0-9a-f]{2}\Z", re.IGNORECASE)
_UUID = re.compile(r"\A[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\Z", re.IGNORECASE)
_FQDN = re.compile(r"\A(?=.{4,253}\Z)(?:[a-z0-9_](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
_NOT_UNIQUE = (".localdomain", ".local", ".internal", ".localhost")  # names that many networks give


def key(*parts: str) -> str:
    """Join parts with ":" to a key; one that is too long keeps its beginning and a hash of all of it."""
    text = ":".join(parts)
    if len(text) <= MAX_KEY:
        return text
    return f"{text[: MAX_KEY - 33]}#{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"


def serial_key(serial: object) -> str | None:
    """Return the key of a serial number of hardware; a short one is somebody's own numbering, and no key."""
    text = str(serial or "").strip().lower()
    return None if len(text) < 5 or _EMPTY.match(text) else key("serial", text)


def uuid_key(uuid: object) -> str | None:
    """Return the key of a machine's UUID (SMBIOS), however it is written."""
    text = str(uuid or "").strip().lower()
    if not _UUID.match(text) or _EMPTY.match(text):
        return None
    digits = text.replace("-", "")
    return f"uuid:{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def machine_id_key(id_: object) -> str | None:
    """Return the key of a machine by its /etc/machine-id; None of none, and of an image that was never started."""
    text = str(id_ or "").strip().lower()
    return key("machine-id", text) if text and text != "uninitialized" else None


def mac(address: object) -> str:
    """Return a MAC address as aa:bb:cc:dd:ee:ff, "" for none or an empty one."""
    text = str(address or "").strip().lower()
    if not _MAC.match(text) or _EMPTY.match(text):
        return ""
    digits = re.sub(r"[:.-]", "", text)
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def mac_key(address: object) -> str | None:
    """Return the key of a network interface by its MAC address (of the interface, never of what it is in)."""
    text = mac(address)
    return f"mac:{text}" if text else None


def fqdn_key(name: object) -> str | None:
    """Return the key of a host by its full name; a name without a domain, or in one that everybody has, is none."""
    text = str(name or "").strip().lower().rstrip(".")
    return None if not _FQDN.match(text) or text.endswith(_NOT_UNIQUE) else f"fqdn:{text}"


def cloud_key(cloud: str, id_: object) -> str | None:
    """Return the key of what a cloud knows by this id: aws, azure, gcp, alicloud, tencentcloud, huaweicloud.

    Azure's ids differ in case from one command to the next; Google's come as a URL or a path.
    """
    text = str(id_ or "").strip()
    if cloud == "azure":
        text = text.lower().strip("/")
    elif cloud == "gcp":
        text = re.sub(r"\A(?:https:)?//(?:www|[a-z]+)\.googleapis\.com/(?:[a-z]+/v\d+\w*/|v\d+\w*/)?", "", text)
    return key(cloud, text) if text else None


_OF_SORT = {
    "serial": serial_key,
    "uuid": uuid_key,
    "machine-id": machine_id_key,
    "fqdn": fqdn_key,
    "mac": mac_key,
}
CLOUDS = ("aws", "azure", "gcp", "alicloud", "tencentcloud", "huaweicloud")
SORTS = (*_OF_SORT, *CLOUDS)


def key_of(sort: str, text: str) -> str | None:
    """Return the key of one of SORTS as sources write it; None of a text that identifies nothing."""
    return _OF_SORT[sort](text) if sort in _OF_SORT else cloud_key(sort, text)


def keys(*found: str | None) -> tuple[str, ...]:
    """Return the keys there are, strongest first, each once."""
    return tuple(dict.fromkeys(each for each in found if each))
