"""All kinds and relation types of the catalogue, by name. Pure."""

from __future__ import annotations

from tongchou.inventory.catalogue.business import APPLICATION, COMMERCIAL, PEOPLE, SECURITY
from tongchou.inventory.catalogue.logical import COMPUTE, CONTAINERS, DATA, NETWORK
from tongchou.inventory.catalogue.physical import HARDWARE, PLACES, POWER, STORAGE
from tongchou.inventory.catalogue.relations import RELATIONS
from tongchou.inventory.catalogue.shapes import Kind, RelationType

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kinds in (
        PLACES,
        POWER,
        HARDWARE,
        STORAGE,
        NETWORK,
        COMPUTE,
        CONTAINERS,
        DATA,
        APPLICATION,
        SECURITY,
        COMMERCIAL,
        PEOPLE,
    )
    for kind in kinds
}
RELATION_TYPES: dict[str, RelationType] = {each.name: each for each in RELATIONS}
