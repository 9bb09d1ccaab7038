"""Reads a state of format 4 (Terraform 0.12 and later, OpenTofu). Pure.

https://developer.hashicorp.com/terraform/internals/json-format does not cover it: the file is Terraform's own,
statefile/version4.go. Outputs, `private` and everything under `sensitive_attributes` are not touched.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Invalid
from tongchou.integrations.terraform.types import (
    ADDRESSED,
    CLOUDS,
    FACTS,
    LINKS,
    NOT_THINGS,
    SIZE_GB,
    TYPES,
    WORKLOADS,
    Link,
    Type,
)
from tongchou.inventory import identity, standard_names
from tongchou.inventory.gather import Gathering, text, words
from tongchou.inventory.observation import Observation

VERSION = 4
MAX_LINKS = 1000  # ids in one list of a resource
GIB = 1024**3
_NAMES = ("name", "display_name", "instance_name", "db_instance_identifier", "identifier", "bucket", "domain_name")
_TAGS = ("tags_all", "tags", "labels", "effective_labels")


def observed(
    state: Any, *, source: str, owner_tag: str = "", others: bool = True, tags: Collection[str] = ()
) -> Observation:
    """Return what a state says exists; `others`: also types that TYPES does not know, under their own names.

    `tags`: names of those that become attributes, too.

    Raises Invalid naming the place when it is no state, or of another format.
    """
    _check(state)
    lineage = str(state.get("lineage") or source)
    gathering = Gathering()
    resources = [] if state.get("resources") is None else state["resources"]
    if not isinstance(resources, list):
        raise _invalid(_("A state has a list of resources."), "resources")
    for place, each in enumerate(resources):
        if not isinstance(each, dict) or not isinstance(each.get("instances"), list):
            raise _invalid(_("A resource of a state has a list of instances."), f"resources[{place}]")
        if each.get("mode") == "managed":
            for one in _instances(each, lineage):
                _gather(one, gathering, owner_tag, others, tags)
    return gathering.observation()


def _invalid(detail: Any, field: str, value: object = None) -> Invalid:
    remedy = _("Hand over a terraform.tfstate, or what `terraform state pull` prints.")
    return Invalid("terraform.state", detail, field=field, value=value, remedy=remedy)


def _check(state: Any) -> None:
    if not isinstance(state, dict) or "version" not in state:
        raise _invalid(_("This is no Terraform state."), "$")
    if "format_version" in state or "values" in state:
        raise _invalid(_("This is the output of `terraform show -json`, not a state."), "$")
    if state["version"] != VERSION:
        raise _invalid(_("Only states of format 4 are read."), "version", state["version"])


class Instance:
    """One instance of a resource of a state, without what is sensitive."""

    def __init__(self, resource: Mapping[str, Any], instance: Mapping[str, Any], lineage: str) -> None:
        self.type = str(resource.get("type", ""))
        module = f"{resource['module']}." if resource.get("module") else ""
        index = instance.get("index_key")
        suffix = "" if index is None else f"[{index}]" if isinstance(index, int) else f'["{index}"]'
        self.address = f"{module}{self.type}.{resource.get('name', '')}{suffix}"
        self.key = identity.key("terraform", lineage, self.address)
        self.cloud = CLOUDS.get(self.type.partition("_")[0], "")
        hidden = _hidden(instance.get("sensitive_attributes"))
        attributes = instance.get("attributes")
        found = attributes if isinstance(attributes, dict) else instance.get("attributes_flat") or {}
        self.attributes = {name: value for name, value in found.items() if name not in hidden}
        self.deposed = bool(instance.get("deposed"))

    def text(self, name: str) -> str:
        """An attribute as text; "" for anything else."""
        return text(self.attributes, name)

    def ids(self, name: str) -> list[str]:
        """The ids that an attribute holds: one, or a list."""
        value = self.attributes.get(name)
        found = value if isinstance(value, list) else [value]
        return [each for each in found[:MAX_LINKS] if isinstance(each, str) and each]


def _hidden(paths: Any) -> set[str]:
    """Names of attributes of which anything is sensitive: the whole attribute is left alone."""
    if not isinstance(paths, list):
        return set()
    first = (path[0] for path in paths if isinstance(path, list) and path)
    return {str(step.get("value")) for step in first if isinstance(step, dict)}


def _instances(resource: Mapping[str, Any], lineage: str) -> Iterator[Instance]:
    for each in resource["instances"]:
        if isinstance(each, dict):
            one = Instance(resource, each, lineage)
            if not one.deposed:  # replaced, and waiting to be destroyed
                yield one


def _gather(one: Instance, gathering: Gathering, owner_tag: str, others: bool, tags: Collection[str]) -> None:
    link = LINKS.get(one.type)
    if link is not None:
        _link(one, link, gathering)
        return
    type_ = TYPES.get(one.type)
    if type_ is None:
        provider = one.type.partition("_")[0]
        if not others or provider in NOT_THINGS:
            return
        # the id of a type nobody described may be anything: the address in this state identifies it
        type_ = Type(one.type[:64].lower(), {}, ("arn",) if provider == "aws" else ())
    keys = identity.keys(*_cloud_keys(one, type_), one.key)
    labels = _tags(one)
    said = {**{tag: labels[tag] for tag in tags if tag in labels}, **_facts(one, type_)}
    gathering.add(type_.kind, _name(one, labels), keys, said, labels, labels.get(owner_tag) or None)
    for attribute, relation in type_.links.items():
        for id_ in one.ids(attribute):
            other = identity.cloud_key(one.cloud, id_) if one.cloud else None
            pair = (other, keys[0]) if relation.startswith("^") else (keys[0], other)
            gathering.relate(relation.lstrip("^"), *pair, origin="declared")
    for relation, id_ in _nested(one):
        gathering.relate(relation, keys[0], identity.cloud_key(one.cloud, id_), origin="declared")


def _link(one: Instance, link: Link, gathering: Gathering) -> None:
    ends = [identity.cloud_key(one.cloud, one.text(name)) for name in (link.from_, link.to)]
    gathering.relate(link.relation, ends[0], ends[1], origin="declared")


def _cloud_keys(one: Instance, type_: Type) -> list[str | None]:
    if one.cloud:
        return [identity.cloud_key(one.cloud, one.text(name)) for name in type_.ids]
    if one.type.startswith("kubernetes_"):
        uid = _metadata(one).get("uid")
        return [identity.key("kubernetes-uid", uid)] if isinstance(uid, str) and uid else []
    if one.type == "libvirt_domain":
        return [identity.uuid_key(one.text("id"))]
    return []


def _metadata(one: Instance) -> Mapping[str, Any]:
    found = one.attributes.get("metadata")
    first = found[0] if isinstance(found, list) and found else found
    return first if isinstance(first, dict) else {}


def _nested(one: Instance) -> Iterator[tuple[str, str]]:
    """Google writes networks and disks of a machine as blocks."""
    for block, attribute, relation in (
        ("network_interface", "subnetwork", "uses"),
        ("boot_disk", "source", "stores_in"),
        ("attached_disk", "source", "stores_in"),
    ):
        found = one.attributes.get(block) if one.cloud == "gcp" else None
        for each in found[:MAX_LINKS] if isinstance(found, list) else ():
            if isinstance(each, dict) and isinstance(each.get(attribute), str) and each[attribute]:
                yield relation, each[attribute]


def _tags(one: Instance) -> dict[str, str]:
    for name in _TAGS:
        found = one.attributes.get(name)
        if isinstance(found, dict) and found:
            return words(found)
    return words(_metadata(one), "labels")


def _name(one: Instance, tags: Mapping[str, str]) -> str:
    known = one.type in TYPES
    found = [one.text(name) for name in _NAMES] if known else []
    meta = _metadata(one) if one.type.startswith("kubernetes_") else {}
    inside = f"{meta['namespace']}/{meta['name']}" if meta.get("namespace") else str(meta.get("name") or "")
    return next((each for each in (tags.get("Name", "") if known else "", inside, *found) if each), one.address)


def _facts(one: Instance, type_: Type) -> dict[str, Any]:
    found: dict[str, Any] = {"terraform": one.address, "provider": one.cloud or one.type.partition("_")[0]}
    if one.type not in TYPES:
        return found
    for attribute, said in FACTS.items():
        if said == "address" and type_.kind not in ADDRESSED:
            continue
        value = one.attributes.get(attribute)
        fact = "size_gb" if said == "size" and type_.kind in SIZE_GB else said
        if isinstance(value, str | int | float) or (
            isinstance(value, list) and all(isinstance(each, str) for each in value)
        ):
            found.setdefault(fact, value)
    if one.type in WORKLOADS:
        found["workload_type"] = WORKLOADS[one.type]
    size = found.pop("size_gb", None)
    if isinstance(size, int | float) and not isinstance(size, bool):
        found["size_bytes"] = int(size * GIB)
    memory = found.pop("memory_mb", None)
    if isinstance(memory, int | float) and not isinstance(memory, bool) and one.type == "libvirt_domain":
        found["memory_bytes"] = int(memory * 1024**2)
    return standard_names.named(type_.kind, found)
