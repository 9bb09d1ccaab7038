"""Declares the Runners of ansible and playbook steps, who runs projects, and facts as a source of the inventory."""

from __future__ import annotations

from tongchou.core.registry import Integration

INTEGRATION = Integration(
    name="ansible",
    title="Ansible",
    app="tongchou.integrations.ansible",
    ports=(
        "tongchou.integrations.ansible.runner:ANSIBLE_STEP",
        "tongchou.integrations.ansible.facts_source:SOURCE",
        "tongchou.integrations.ansible.playbooks:PLAYBOOKS",
        "tongchou.integrations.ansible.playbook_step:PLAYBOOK_STEP",
    ),
)
