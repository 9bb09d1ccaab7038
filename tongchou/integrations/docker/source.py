"""The inventory source "docker": an engine of this host, asked over its socket.

Commands, environments and labels of containers may hold secrets: of labels only compose's own are read. What changes at
each start (ids, addresses, uptime) is not read either: a container is known by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from tongchou.core import settings_store
from tongchou.core.problems import Invalid, Unavailable
from tongchou.integrations.docker import engine
from tongchou.integrations.docker.run_time_settings import SOCKETS
from tongchou.inventory import identity, source_settings
from tongchou.inventory.gather import Gathering, at, items, number, text, texts
from tongchou.inventory.observation import Observation
from tongchou.wire.host.facts import machine_id

PROJECT, SERVICE = "com.docker.compose.project", "com.docker.compose.service"
DEFAULT_SOCKET = "/var/run/docker.sock"


class DockerSource:
    """Looks at one engine. Podman's socket speaks the same."""

    kind: str = "docker"
    title: Any = _("Docker")
    precedence: int = 260
    interval_seconds: float = 60.0
    settings_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "socket": {
                "type": "string",
                "default": DEFAULT_SOCKET,
                "maxLength": 500,
                "description": _("one of the sockets that the setting docker.sockets lists"),
            },
            **source_settings.NODE,
        },
    }

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Fill in defaults; raises Invalid naming the field."""
        return source_settings.filled(self.settings_schema, settings)

    def of_node(self, settings: Mapping[str, Any]) -> bool:
        """Always: a socket is of this host."""
        return True

    def fetch(self, settings: Mapping[str, Any], *, source: str) -> Observation:
        """Ask once. A list that is refused makes the look a part; without the engine itself it fails."""
        path, allowed = settings["socket"], settings_store.get(SOCKETS) or []
        if path not in allowed:
            raise Invalid(
                "docker.socket",
                _("This socket may not be used."),
                field="settings.socket",
                value=path,
                remedy=_("An administrator lists it in the setting %(setting)s; now there: %(uris)s.")
                % {"setting": SOCKETS, "uris": ", ".join(allowed) or "-"},
            )
        answers = {"info": engine.get(path, "/info")}
        gathering = Gathering()
        for name, place in (
            ("images", "/images/json"),
            ("networks", "/networks"),
            ("containers", "/containers/json?all=true"),
        ):
            try:
                answers[name] = engine.get(path, place)
            except Unavailable:
                gathering.partial(f"{place} could not be read")
        observe(gathering, answers, source=source, machine_id=machine_id())
        return gathering.observation()


SOURCE = DockerSource()


def observe(gathering: Gathering, answers: Mapping[str, Any], *, source: str, machine_id: str) -> None:
    """Add what an engine's answers say. Pure."""
    info = answers["info"]
    name = text(info, "Name") or source
    place = identity.key("docker", text(info, "ID") or source)
    keys = identity.keys(identity.machine_id_key(machine_id), identity.key(place, "host"))
    attributes = {
        "os": text(info, "OperatingSystem"),
        "architecture": text(info, "Architecture"),
        "cpu_count": number(info, "NCPU"),
        "memory_bytes": number(info, "MemTotal"),
        "docker": text(info, "ServerVersion"),
    }
    host = gathering.add("host", name, keys, attributes)
    for each in items(answers, "images"):
        _image(gathering, each)
    for each in items(answers, "networks"):
        subnets = {text(one, "Subnet") for one in items(each, "IPAM", "Config")} - {""}
        said = {"driver": text(each, "Driver"), "scope": text(each, "Scope"), "prefixes": sorted(subnets)}
        key = gathering.add("network", f"{name} {text(each, 'Name')}", _network(place, text(each, "Name")), said)
        gathering.relate("runs_on", key, host)
    for each in items(answers, "containers"):
        _container(gathering, each, place, name, host)


def _network(place: str, name: str) -> tuple[str, ...]:
    return (identity.key(place, "network", name),) if name else ()


def _image(gathering: Gathering, each: Mapping[str, Any]) -> None:
    tags = [tag for tag in texts(each, "RepoTags") if tag != "<none>:<none>"]
    id_ = text(each, "Id")
    digests = texts(each, "RepoDigests")
    path, _at, digest = digests[0].partition("@") if digests else ("", "", "")
    repository, _colon, tag = tags[0].rpartition(":") if tags else (path, "", "")
    said = {
        "repository": repository,
        "tag": tag,
        "image_digest": digest,
        "tags": tags if len(tags) > 1 else [],
        "digests": digests if len(digests) > 1 else [],
        "size_bytes": number(each, "Size"),
    }
    gathering.add("container_image", tags[0] if tags else id_[:19], (f"image:{id_}",) if id_ else (), said)


def _container(gathering: Gathering, each: Mapping[str, Any], place: str, engine_name: str, host: str | None) -> None:
    names = sorted(name.strip("/") for name in texts(each, "Names") if name.count("/") == 1)  # others are links to it
    name = names[0] if names else ""
    labels = at(each, "Labels")
    project, service = text(labels, PROJECT), text(labels, SERVICE)
    ports = {
        f"{text(port, 'IP')}:{number(port, 'PublicPort')}->{number(port, 'PrivatePort')}/{text(port, 'Type')}"
        for port in items(each, "Ports")
        if number(port, "PublicPort")
    }
    said = {
        "image": text(each, "Image"),
        "image_id": text(each, "ImageID"),
        "run_state": text(each, "State"),
        "ports": sorted(ports),
    }
    compose = {key: value for key, value in (("compose_project", project), ("compose_service", service)) if value}
    keys = (identity.key(place, "container", name),) if name else ()
    key = gathering.add("container", name or "container", keys, said, compose)
    gathering.relate("runs_on", key, host)
    gathering.relate("instance_of", key, f"image:{text(each, 'ImageID')}" if text(each, "ImageID") else None)
    networks = at(each, "NetworkSettings", "Networks")
    for network in networks if isinstance(networks, dict) else ():
        gathering.relate("uses", key, _network(place, network)[0] if network else None)
    for mount in items(each, "Mounts"):
        if text(mount, "Type") == "volume" and text(mount, "Name"):
            volume = (identity.key(place, "volume", text(mount, "Name")),)
            gathering.add("volume", f"{engine_name} {text(mount, 'Name')}", volume, {"driver": text(mount, "Driver")})
            gathering.relate("stores_in", key, volume[0])
    if project and key:
        whole = (identity.key(place, "compose", project),)
        gathering.add("application", project, whole)
        gathering.relate("part_of", key, whole[0])
