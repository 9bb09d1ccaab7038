"""What many deployments can be given at once."""

from tongchou.core.lists import custom

custom.offer("changes.deployment", "changes.edit")
