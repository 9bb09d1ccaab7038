"""Declares libvirt as a source of the inventory; the app brings the setting of the hypervisors that may be asked."""

from tongchou.core.registry import Integration

INTEGRATION = Integration(
    name="libvirt",
    title="libvirt (KVM, Xen, LXC)",
    app="tongchou.integrations.libvirt",
    ports=("tongchou.integrations.libvirt.source:SOURCE",),
)
