"""The relation types that come with the platform. Pure."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from tongchou.inventory.catalogue.shapes import RelationType

_PLACED = ("region", "site", "room", "rack")
_PEOPLE = ("department", "contact", "supplier")

RELATIONS: tuple[RelationType, ...] = (
    RelationType("calls", _("calls"), _("is called by"), "to"),
    RelationType("runs_on", _("runs on"), _("carries"), "to"),
    RelationType("stores_in", _("stores in"), _("stores for"), "to"),
    # the whole needs its parts: a service fails when its instances do, a host when its disk does
    RelationType("part_of", _("is part of"), _("consists of"), "from"),
    # the copy goes stale when its origin fails; the origin does not notice the loss of a copy
    RelationType("replicates_to", _("replicates to"), _("is a copy of"), "from"),
    RelationType("depends_on", _("depends on"), _("is needed by"), "to"),
    RelationType("uses", _("uses"), _("is used by"), "to"),
    # where a thing stands: a flooded room takes all in it along; one place at a time
    RelationType("located_in", _("stands in"), _("holds"), "to", "many-to-one", (), _PLACED),
    # position and face are fields of what is mounted (rack_position, rack_face): it is mounted once
    RelationType("mounted_in", _("is mounted in"), _("carries mounted"), "to", "many-to-one", (), ("rack", "chassis")),
    RelationType(
        "powered_by",
        _("is powered by"),
        _("powers"),
        "to",
        "many-to-many",
        (),
        ("pdu", "ups", "power_feed", "generator", "component"),
    ),
    RelationType("cooled_by", _("is cooled by"), _("cools"), "to", "many-to-many", (), ("cooling_unit", "component")),
    # a cable has no direction in which failure flows
    RelationType("connected_to", _("is connected to"), _("is connected to"), "none"),
    # a member may leave without the whole failing, and fails with the whole
    RelationType("member_of", _("is a member of"), _("has the member"), "to"),
    RelationType("hosts", _("hosts"), _("is hosted by"), "from", "one-to-many"),
    RelationType(
        "instance_of",
        _("is of the type"),
        _("is the type of"),
        "none",
        "many-to-one",
        (),
        ("device_type", "container_image"),
    ),
    RelationType("protected_by", _("is protected by"), _("protects"), "to"),
    RelationType("backed_up_to", _("is backed up to"), _("keeps the backup of"), "none"),
    RelationType(
        "resolves_to", _("resolves to"), _("is the address of"), "to", "many-to-many", ("domain", "dns_record")
    ),
    RelationType("assigned_to", _("is assigned to"), _("has the address"), "none", "many-to-one", ("ip_address",)),
    RelationType(
        "covered_by",
        _("is covered by"),
        _("covers"),
        "none",
        "many-to-many",
        (),
        ("contract", "warranty"),
    ),
    RelationType("licensed_by", _("is licensed by"), _("licenses"), "none", "many-to-many", (), ("licence",)),
    RelationType("bought_from", _("was bought from"), _("sold"), "none", "many-to-one", (), ("supplier",)),
    RelationType("paid_by", _("is paid by"), _("pays for"), "none", "many-to-one", (), ("cost_centre",)),
    # a capability suffers when a service or an application that realises it does
    RelationType(
        "realises",
        _("realises"),
        _("is realised by"),
        "from",
        "many-to-many",
        ("service", "application"),
        ("business_capability", "application"),
    ),
    RelationType("owned_by", _("is owned by"), _("owns"), "none", "many-to-one", (), _PEOPLE),
    RelationType("supported_by", _("is supported by"), _("supports"), "none", "many-to-many", (), _PEOPLE),
)
