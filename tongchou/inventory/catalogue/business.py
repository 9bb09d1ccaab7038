"""Applications, certificates and names, contracts and people. Pure."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from tongchou.inventory.catalogue.shapes import Kind, data, day, field, link, moment, number, one_of, whole, yes
from tongchou.inventory.catalogue.shared_fields import (
    CRITICALITY,
    DESCRIPTION,
    DOCUMENTATION,
    ENVIRONMENT,
    PORT,
    TERM,
    VERSION,
)

RECOVERY = _("Recovery")
CLASSIFICATION = one_of(
    "data_class",
    _("Data classification"),
    ("public", _("public")),
    ("internal", _("internal")),
    ("confidential", _("confidential")),
    ("secret", _("secret")),
)
_LIFE = one_of(
    "lifecycle_phase",
    _("Phase"),
    ("planned", _("planned")),
    ("building", _("being built")),
    ("live", _("live")),
    ("sunset", _("being replaced")),
    ("retired", _("taken out")),
)
_RECOVERY = (
    whole("rto_minutes", _("Recovery time objective"), "min", section=RECOVERY),
    whole("rpo_minutes", _("Recovery point objective"), "min", section=RECOVERY),
)

APPLICATION = (
    Kind(
        "business_capability",
        _("Business capability"),
        "target",
        0,
        "application",
        (CRITICALITY, field("level", _("Level")), field("sponsor", _("Sponsor")), DESCRIPTION),
    ),
    Kind(
        "application",
        _("Application"),
        "app-window",
        0,
        "application",
        (
            CRITICALITY,
            _LIFE,
            VERSION,
            field("vendor", _("Manufacturer")),
            CLASSIFICATION,
            whole("user_count", _("Users")),
            link("url", _("Web address")),
            link("repository_url", _("Source code")),
            DOCUMENTATION,
            *_RECOVERY,
            DESCRIPTION,
        ),
    ),
    Kind(
        "service",
        _("Service"),
        "boxes",
        1,
        "application",
        (
            CRITICALITY,
            ENVIRONMENT,
            VERSION,
            field("language", _("Language")),
            link("url", _("Web address")),
            link("repository_url", _("Source code")),
            DOCUMENTATION,
            *_RECOVERY,
            DESCRIPTION,
        ),
    ),
    Kind(
        "instance",
        _("Instance"),
        "box",
        2,
        "application",
        (VERSION, field("address", _("Address")), PORT, ENVIRONMENT),
    ),
    Kind(
        "load_balancer",
        _("Load balancer"),
        "split",
        0,
        "application",
        (
            VERSION,
            field("engine", _("Engine")),
            field("address", _("Address")),
            PORT,
            field("algorithm", _("Algorithm")),
            data("backends", _("Backends")),
            ENVIRONMENT,
        ),
    ),
    Kind(
        "api_endpoint",
        _("API"),
        "workflow",
        1,
        "application",
        (link("url", _("Web address")), VERSION, field("authentication", _("Authentication")), CLASSIFICATION),
    ),
    Kind(
        "scheduled_job",
        _("Scheduled job"),
        "calendar-clock",
        2,
        "application",
        (field("schedule", _("Schedule")), field("command", _("Command")), field("time_zone", _("Time zone"))),
    ),
)

SECURITY = (
    Kind(
        "certificate",
        _("Certificate"),
        "file-badge",
        6,
        "security",
        (
            field("subject", _("Subject")),
            data("alternative_names", _("Alternative names")),
            field("issuer", _("Issuer")),
            moment("not_before", _("Valid from")),
            moment("not_after", _("Valid until")),
            field("serial", _("Serial number")),
            field("sha256_fingerprint", _("SHA-256 fingerprint")),
            field("key_algorithm", _("Key algorithm")),
            whole("key_bits", _("Key length"), "bit"),
            yes("auto_renewed", _("Renewed by itself")),
        ),
        wanted=("not_after",),
    ),
    Kind(
        "domain",
        _("Domain"),
        "globe",
        6,
        "security",
        (
            field("registrar", _("Registrar")),
            day("expires_on", _("Expires on")),
            yes("auto_renewed", _("Renewed by itself")),
            data("name_servers", _("Name servers")),
            field("filing_number", _("Filing number (ICP)")),
            yes("dnssec", _("DNSSEC")),
        ),
        wanted=("expires_on",),
    ),
    Kind(
        "dns_record",
        _("DNS record"),
        "route",
        5,
        "security",
        (
            field("record_type", _("Type of record")),
            field("record_value", _("Value")),
            whole("ttl_seconds", _("Time to live"), "s"),
        ),
    ),
    Kind(
        "service_account",
        _("Account"),
        "key-round",
        6,
        "security",
        (
            field("login", _("Login name")),
            field("purpose", _("Purpose")),
            field("privilege", _("Privilege")),
            day("reviewed_on", _("Last reviewed on")),
            day("expires_on", _("Expires on")),
            field("secret_location", _("Where its secret is kept")),
        ),
    ),
)

COMMERCIAL = (
    Kind(
        "supplier",
        _("Supplier"),
        "truck",
        6,
        "commercial",
        (
            field("supplier_number", _("Supplier number")),
            link("url", _("Web address")),
            field("contact_phone", _("Telephone")),
            field("email", _("E-mail")),
            field("account_id", _("Account number")),
            DESCRIPTION,
        ),
    ),
    Kind(
        "contract",
        _("Contract"),
        "handshake",
        6,
        "commercial",
        (
            field("contract_number", _("Contract number")),
            field("supplier", _("Supplier")),
            *TERM,
            whole("notice_days", _("Notice period"), "d"),
            yes("auto_renewed", _("Renewed by itself")),
            field("service_level", _("Service level")),
            DOCUMENTATION,
            DESCRIPTION,
        ),
        wanted=("ends_on",),
    ),
    Kind(
        "warranty",
        _("Warranty"),
        "badge-check",
        6,
        "commercial",
        (
            field("supplier", _("Supplier")),
            *TERM,
            field("service_level", _("Service level")),
            field("contact_phone", _("Telephone")),
        ),
        wanted=("ends_on",),
    ),
    Kind(
        "licence",
        _("Licence"),
        "file-key",
        6,
        "commercial",
        (
            field("product", _("Product")),
            field("supplier", _("Supplier")),
            one_of(
                "licence_metric",
                _("Counted by"),
                ("user", _("user")),
                ("device", _("device")),
                ("core", _("processor core")),
                ("socket", _("processor socket")),
                ("instance", _("instance")),
                ("site", _("site")),
                ("subscription", _("subscription")),
            ),
            whole("seats", _("Bought")),
            whole("seats_used", _("In use")),
            *TERM,
            field("contract_number", _("Contract number")),
        ),
    ),
    Kind(
        "cost_centre",
        _("Cost centre"),
        "landmark",
        6,
        "commercial",
        (field("code", _("Code")), number("budget", _("Budget")), field("currency", _("Currency"), pattern="[A-Z]{3}")),
    ),
)

PEOPLE = (
    Kind(
        "department",
        _("Department"),
        "building",
        0,
        "people",
        (field("code", _("Code")), field("email", _("E-mail")), field("contact_phone", _("Telephone"))),
    ),
    Kind(
        "contact",
        _("Contact"),
        "contact",
        0,
        "people",
        (
            field("role", _("Role")),
            field("organisation", _("Organisation")),
            field("email", _("E-mail")),
            field("contact_phone", _("Telephone")),
            field("duty_hours", _("Can be reached")),
        ),
    ),
    # of this platform (source "people"): what relations say of a department or a contact may be said of them
    Kind("team", _("Team"), "users", 0, "people", parent="department"),
    Kind("person", _("Person"), "user", 0, "people", (field("login", _("Login name")),), parent="contact"),
)
