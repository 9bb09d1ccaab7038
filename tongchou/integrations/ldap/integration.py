"""Declares the directory. Its backend is loaded only when the environment names one (the extra `ldap` brings it)."""

from tongchou.core.registry import Integration

INTEGRATION = Integration(name="ldap", title="LDAP", app="tongchou.integrations.ldap")
