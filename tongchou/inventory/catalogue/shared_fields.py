"""Fields that many kinds share, and the groups of kinds. Pure."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from tongchou.inventory.catalogue.shapes import Group, day, field, link, notes, number, one_of, whole

GROUPS: tuple[Group, ...] = (
    Group("places", _("Places"), "map-pin"),
    Group("power", _("Power and cooling"), "plug-zap"),
    Group("hardware", _("Hardware"), "server"),
    Group("storage", _("Storage"), "hard-drive"),
    Group("network", _("Network"), "network"),
    Group("compute", _("Compute"), "cpu"),
    Group("containers", _("Containers"), "container"),
    Group("data", _("Data"), "database"),
    Group("application", _("Applications"), "app-window"),
    Group("security", _("Certificates and names"), "shield"),
    Group("commercial", _("Commercial"), "receipt"),
    Group("people", _("People"), "users"),
    Group("other", _("Other"), "shapes"),
)

IDENTIFICATION = _("Identification")
PLACE = _("Place")
SIZE = _("Size and power")
SUPPORT = _("Purchase and support")
SMART = _("Health (SMART)")
CAPACITY = _("Capacity")
ADDRESS = _("Address")

STATUS = one_of(
    "status",
    _("Lifecycle"),
    ("planned", _("planned")),
    ("ordered", _("ordered")),
    ("in_stock", _("in stock")),
    ("staged", _("being installed")),
    ("active", _("in use")),
    ("offline", _("switched off")),
    ("failed", _("broken")),
    ("decommissioning", _("being taken out")),
    ("retired", _("taken out")),
)
ENVIRONMENT = one_of(
    "environment",
    _("Environment"),
    ("production", _("production")),
    ("staging", _("staging")),
    ("test", _("test")),
    ("development", _("development")),
    ("recovery", _("disaster recovery")),
)
CRITICALITY = one_of(
    "criticality",
    _("Criticality"),
    ("critical", _("critical")),
    ("high", _("high")),
    ("medium", _("medium")),
    ("low", _("low")),
)
VERSION = field("version", _("Version"))
PORT = whole("port", _("Port"), least=1, maximum=65_535)
SIZE_BYTES = whole("size_bytes", _("Size"), "B")
USED_BYTES = whole("used_bytes", _("In use"), "B")
DESCRIPTION = notes("description", _("Description"))
DOCUMENTATION = link("documentation", _("Documentation"))

MAKE = (
    field("manufacturer", _("Manufacturer"), section=IDENTIFICATION),
    field("model", _("Model"), section=IDENTIFICATION),
    field("serial", _("Serial number"), section=IDENTIFICATION),
    field("asset_tag", _("Asset tag"), section=IDENTIFICATION),
)
RACKED = (
    number("rack_position", _("Position in the rack"), "U", section=PLACE),
    one_of("rack_face", _("Face of the rack"), ("front", _("front")), ("rear", _("rear")), section=PLACE),
    number("u_height", _("Height"), "U", section=SIZE),
)
PURCHASE = (
    day("purchased_on", _("Bought on"), section=SUPPORT),
    number("purchase_price", _("Price"), section=SUPPORT),
    field("currency", _("Currency"), section=SUPPORT, pattern="[A-Z]{3}"),
    day("warranty_ends_on", _("Warranty ends on"), section=SUPPORT),
    day("support_ends_on", _("Support ends on"), section=SUPPORT),
)
TERM = (
    day("starts_on", _("Starts on")),
    day("ends_on", _("Ends on")),
    number("amount", _("Amount")),
    field("currency", _("Currency"), pattern="[A-Z]{3}"),
)
