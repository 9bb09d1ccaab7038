"""Declares Docker as a source of the inventory; the app brings the setting of the sockets that may be used."""

from tongchou.core.registry import Integration

INTEGRATION = Integration(
    name="docker",
    title="Docker, Podman",
    app="tongchou.integrations.docker",
    ports=("tongchou.integrations.docker.source:SOURCE",),
)
