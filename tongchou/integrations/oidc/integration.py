"""Declares single sign-on."""

from tongchou.core.registry import Integration

INTEGRATION = Integration(
    name="oidc",
    title="OpenID Connect",
    app="tongchou.integrations.oidc",
    urls=("accounts/oidc/", "tongchou.integrations.oidc.urls"),
)
