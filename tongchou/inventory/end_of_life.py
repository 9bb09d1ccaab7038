"""What ends, and when: support of operating systems and software by a rule pack, and dates that are stated outright.

Pure but for reading the pack of this release, once. What no rule knows is unknown, never fine; so is a version whose
end nobody had announced when the pack was compiled, once the pack is a year old.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from django.utils.dateparse import parse_date, parse_datetime
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Verdict = Literal["ends", "no_end", "unknown"]
PACK = Path(__file__).with_name("end_of_life.json")
PACK_HOLDS = timedelta(days=365)
URGENCY: dict[Verdict, int] = {"ends": 0, "unknown": 1, "no_end": 2}
ANY = "*"  # the cycle of a product that ends whatever its version

# attributes that say what runs, strongest first, and those that say its version
SYSTEMS = ("os", "os_name", "os_pretty_name", "operating_system", "distribution", "platform")
SYSTEM_VERSIONS = ("os_version", "os_release", "distribution_version")
SOFTWARE = ("software", "product", "engine", "db_engine", "application")
VERSIONS = ("version", "software_version", "product_version", "engine_version")
VERSION_OF = "_version"  # <product>_version
NAMING_VERSIONS = ("engine_version", "database_version", "version")  # a cloud's may name the product too: POSTGRES_13
IMAGES = ("image", "images")  # of containers: one, or a list
RUNTIME = "container_runtime"  # what a node says of it: containerd://1.7.22
NAMED = ("kubelet", "docker")  # called like a product; the value is its version
READ = (
    *SYSTEMS,
    *SYSTEM_VERSIONS,
    *SOFTWARE,
    *VERSIONS,
    *IMAGES,
    RUNTIME,
    *NAMED,
)  # and what ends like one of the rest
CLUSTER = "k8s_cluster"  # its version is that of Kubernetes, its distribution and platform no system

# how an attribute with the day of an end is called, at its end; and what its beginning says it is
DATED = ("ends_on", "not_after", "expires_on", "expires_at", "expires", "valid_until", "end_date", "expiry_date")
SORTS: dict[str, tuple[str, ...]] = {
    "certificate": ("certificate", "cert", "tls", "ssl"),
    "warranty": ("warranty",),
    "support": ("support", "eol", "end_of_life"),
    "contract": ("contract", "lease"),
    "licence": ("licence", "license"),
    "domain": ("domain", "registration"),
}
TITLES: dict[str, str | Promise] = {
    "os": _("Support of the system"),
    "software": _("Support of the software"),
    "certificate": _("Certificate"),
    "warranty": _("Warranty"),
    "support": _("Support"),
    "contract": _("Contract"),
    "licence": _("Licence"),
    "domain": _("Domain"),
    "other": _("Other end"),
}
# of an attribute called no more than "ends_on" or "not_after" the kind of the resource says what ends
KINDS = {
    "certificate": "certificate",
    "domain": "domain",
    "contract": "contract",
    "licence": "licence",
    "license": "licence",
}
_VERSION = re.compile(r"\d+(?:\.\d+)*")
_SERVICE_PACK = re.compile(r"[ .\-]*sp *(\d+)\b")
_SAME = "server|core|common|community|enterprise"  # "mysql-server" is MySQL, "node-exporter" no Node.js
_OTHER = rf"[-/_](?!(?:{_SAME})\b)[a-z]"  # what makes of a name another one
_SPACED = r"\s+"
_BUILT = f"{_SAME}|alpine|debian|slim|unprivileged"  # what images add to a name
# [registry/]path[:tag][@digest]; neither the registry nor the digest says what is in it
_IMAGE = re.compile(
    r"(?:[a-z-]+://)?(?:(?:localhost|[^/@]*[.:][^/@]*)/)?(?P<path>[^:@]+)(?::(?P<tag>[^@]*))?(?:@.*)?", re.DOTALL
)
_TAG = re.compile(r"\A(?:v|version-|release-)?(\d.*)", re.DOTALL)
_UNDERSCORE = re.compile(r"(?<=\d)_(?=\d)")
_KUBERNETES = re.compile(r"v?1\.\d", re.IGNORECASE)
_R2 = re.compile(r"(\d{4}) *r2\b")


@dataclass(frozen=True, slots=True)
class Cycle:
    """One line of versions. `ends`: last day of regular support, None: none was announced. `extended`: of what follows.

    What follows is paid or long-term support, by whom and for what the maker says.
    """

    cycle: str
    released: date
    ends: date | None
    extended: date | None


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """What a rule is about; `names`: how inventories call it, in small letters. `source`: where its maker says so.

    `never`: paths of images that are called like it and are something else.
    """

    name: str
    title: str
    group: str
    names: tuple[str, ...]
    source: str
    cycles: Mapping[str, Cycle]
    never: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Pack:
    """The rules of one release, and when they were compiled."""

    version: str
    compiled: date
    products: tuple[Product, ...]


@dataclass(frozen=True, slots=True)
class End:
    """One end of one resource. `key` tells the ends of a resource apart; `what` names it; `on` its day, if known."""

    key: str
    sort: str
    what: str
    verdict: Verdict
    on: date | None = None
    extended: date | None = None
    source: str = ""


def read_pack(text: str) -> Pack:
    """Return the pack of a JSON document; raises ValueError, KeyError when it is none."""
    found = json.loads(text)
    products = [
        Product(
            each["name"],
            each["title"],
            each["group"],
            tuple(each["names"]),
            each["source"],
            {row["cycle"]: _cycle(row) for row in each["cycles"]},
            tuple(each.get("never", ())),
        )
        for each in found["products"]
    ]
    return Pack(found["version"], date.fromisoformat(found["compiled"]), tuple(products))


def _cycle(row: Mapping[str, Any]) -> Cycle:
    ends, extended = row.get("ends"), row.get("extended")
    return Cycle(
        row["cycle"],
        date.fromisoformat(row["released"]),
        date.fromisoformat(ends) if ends else None,
        date.fromisoformat(extended) if extended else None,
    )


@lru_cache(maxsize=1)
def pack() -> Pack:
    """Return the pack of this release."""
    return read_pack(PACK.read_text(encoding="utf-8"))


# --- what runs --------------------------------------------------------------------------------------------------------


def _by_length(rules: Pack, group: str) -> list[tuple[str, Product]]:
    """The names of a group's products, the longest first: "centos stream" before "centos"."""
    pairs = [(name, each) for each in rules.products if each.group == group for name in each.names]
    return sorted(pairs, key=lambda pair: (-len(pair[0]), pair[0]))


@lru_cache(maxsize=8)
def _names(rules: Pack, group: str) -> tuple[tuple[re.Pattern[str], Product], ...]:
    """What finds the names in a text, however many spaces it writes."""
    return tuple(
        (re.compile(rf"(?<![a-z0-9]){_SPACED.join(map(re.escape, name.split()))}(?![a-z]|{_OTHER})"), each)
        for name, each in _by_length(rules, group)
    )


@lru_cache(maxsize=2)
def _image_names(rules: Pack) -> tuple[tuple[re.Pattern[str], re.Pattern[str], Product], ...]:
    """What finds the names at the end of an image's path, and in its tag a version that stands behind the name."""
    return tuple(
        (
            re.compile(rf"(?:^|/){re.escape(name)}(?:-(?:{_BUILT}))*$"),
            re.compile(rf"(?<![a-z0-9]){re.escape(name)}[-_.]?v?(\d.*)", re.DOTALL),
            each,
        )
        for name, each in _by_length(rules, "software")
    )


@lru_cache(maxsize=4096)  # thousands of hosts say the same few words
def recognise(text: str, group: str, rules: Pack) -> tuple[Product, str] | None:
    """Return the product a text names and what stands behind the name; None when no rule knows it."""
    small = text.casefold()[:500]
    for pattern, product in _names(rules, group):
        match = pattern.search(small)
        if match is not None:
            return product, small[match.end() :]
    return None


@lru_cache(maxsize=4096)
def recognise_image(text: str, rules: Pack) -> tuple[Product, str] | None:
    """Return the product that a container image is called after and the version its tag tells, "" when it tells none.

    None when no rule knows it, and for an image that only runs beside a product: an exporter, a controller.
    """
    match = _IMAGE.fullmatch(text.casefold()[:500].strip())
    if match is None:
        return None
    path, tag = match["path"], match["tag"] or ""
    for pattern, in_tag, product in _image_names(rules):
        if pattern.search(path) and not any(f"/{path}".endswith(f"/{each}") for each in product.never):
            version = in_tag.search(tag) or _TAG.search(tag)
            return product, version[1] if version is not None else ""
    return None


def cycle_of(product: Product, version: str) -> Cycle | None:
    """Return the cycle a version belongs to: the longest that it begins with; None when the rules do not know it."""
    text = _SERVICE_PACK.sub(r".\1", version.casefold())
    second = _R2.search(text)
    if second is not None and f"{second[1]} r2" in product.cycles:
        return product.cycles[f"{second[1]} r2"]
    match = _VERSION.search(text)
    parts = match[0].split(".") if match is not None else []
    for size in range(len(parts), 0, -1):
        found = product.cycles.get(".".join(parts[:size]))
        if found is not None:
            return found
    return product.cycles.get(ANY)


def _end(product: Product, version: str, rules: Pack, today: date) -> End:
    cycle = cycle_of(product, version)
    match = _VERSION.search(version)
    shown = match[0] if match is not None else ""
    what = f"{product.title} {cycle.cycle if cycle is not None and cycle.cycle != ANY else shown}".strip()
    key = f"{product.group}:{product.name}"
    if cycle is None or (cycle.ends is None and today > rules.compiled + PACK_HOLDS):
        return End(key, product.group, what, "unknown", source=product.source)
    if cycle.ends is None:
        return End(key, product.group, what, "no_end", source=product.source)
    return End(key, product.group, what, "ends", cycle.ends, cycle.extended, product.source)


# --- the ends of one resource -----------------------------------------------------------------------------------------


def ends_of(lineage: Sequence[str], attributes: Mapping[str, Any], rules: Pack, today: date) -> list[End]:
    """Return every end that the attributes of a resource tell of, one a key; `lineage`: its kind and those above."""
    found: dict[str, End] = {}
    ends = (
        *_systems(lineage, attributes, rules, today),
        *_software(lineage, attributes, rules, today),
        *_dates(lineage, attributes),
    )
    for each in ends:
        found.setdefault(each.key, each)
    return list(found.values())


def _text(attributes: Mapping[str, Any], names: Iterable[str]) -> str:
    return next((str(attributes[name]) for name in names if attributes.get(name) not in (None, "")), "")


def _systems(lineage: Sequence[str], attributes: Mapping[str, Any], rules: Pack, today: date) -> Iterable[End]:
    text = _text(attributes, SYSTEMS) if CLUSTER not in lineage else ""
    if not text:
        return
    known = recognise(text, "os", rules)
    if known is None:
        yield End("os", "os", text[:100], "unknown")
        return
    product, behind = known
    version = behind if _VERSION.search(behind) else _text(attributes, SYSTEM_VERSIONS)
    yield _end(product, version, rules, today)


def _software(lineage: Sequence[str], attributes: Mapping[str, Any], rules: Pack, today: date) -> Iterable[End]:
    text, version = _text(attributes, SOFTWARE), _text(attributes, VERSIONS)
    known = recognise(text, "software", rules) if text else None
    if known is not None:
        yield _end(known[0], version or known[1], rules, today)
    elif not text:
        yield from _by_version_alone(lineage, attributes, version, rules, today)
    yield from _images(attributes, "" if text else version, rules, today)
    told = {name: str(attributes[name]) for name in NAMED if _VERSION.search(str(attributes.get(name, "")))}
    for name, value in sorted(attributes.items()):
        if name.endswith(VERSION_OF) and name not in (*SYSTEM_VERSIONS, *VERSIONS) and isinstance(value, str):
            told.setdefault(name.removesuffix(VERSION_OF).replace("_", " "), value)
    for name, value in told.items():
        known = recognise(name, "software", rules)
        if known is not None and value:
            yield _end(known[0], value, rules, today)
    known = recognise(_text(attributes, (RUNTIME,)), "software", rules)
    if known is not None:
        yield _end(known[0], known[1], rules, today)


def _by_version_alone(
    lineage: Sequence[str], attributes: Mapping[str, Any], version: str, rules: Pack, today: date
) -> Iterable[End]:
    """Where no software is named: the version names it too, or the kind says what it is."""
    text = _text(attributes, NAMING_VERSIONS)
    known = recognise(text, "software", rules)
    if known is not None and text.casefold().startswith(known[0].names):  # no word in the middle of a version of ours
        yield _end(known[0], _UNDERSCORE.sub(".", known[1]), rules, today)
    known = recognise("kubernetes", "software", rules) if CLUSTER in lineage and version else None
    if known is None:
        return
    if _KUBERNETES.match(version):
        yield _end(known[0], version, rules, today)
    else:  # a distribution that counts its own versions
        what = f"{_text(attributes, ('distribution',)) or known[0].title} {version}"
        yield End(f"software:{known[0].name}", "software", what[:100], "unknown")


def _images(attributes: Mapping[str, Any], version: str, rules: Pack, today: date) -> Iterable[End]:
    """Of several images of a product the one that ends first; `version`: where the tag of a single one tells none."""
    single, several = (attributes.get(name) for name in IMAGES)
    found: list[End] = []
    for each in [single, *(several if isinstance(several, list) else ())]:
        known = recognise_image(each, rules) if isinstance(each, str) else None
        if known is not None:
            found.append(_end(known[0], known[1] or (version if each is single else ""), rules, today))
    yield from sorted(found, key=lambda end: (URGENCY[end.verdict], end.on or date.max, end.what))


def is_dated(name: str) -> bool:
    """Tell whether an attribute of this name is the day of an end."""
    return any(name == ending or name.endswith(f"_{ending}") for ending in DATED)


def _dates(lineage: Sequence[str], attributes: Mapping[str, Any]) -> Iterable[End]:
    usual = next((KINDS[each] for each in lineage if each in KINDS), "other")
    for name, value in sorted(attributes.items()):
        if not is_dated(name) or value in (None, ""):
            continue
        beginning = next(name.removesuffix(ending).rstrip("_") for ending in DATED if name.endswith(ending))
        fits = [sort for sort, words in SORTS.items() if any(word in beginning for word in words)]
        sort = fits[0] if fits else usual
        on = _day(value)
        yield End(f"date:{name}"[:255], sort, name, "ends" if on is not None else "unknown", on)


def _day(value: Any) -> date | None:
    try:
        day = parse_date(str(value)[:10])
        if day is not None:
            return day
        moment = parse_datetime(str(value))
    except ValueError:
        return None
    return moment.date() if moment is not None else None
