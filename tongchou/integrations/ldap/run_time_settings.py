"""What an administrator may change about the directory while the platform runs."""

from django.utils.translation import gettext_lazy as _

from tongchou.core import group_roles
from tongchou.core.settings_store import register

register(
    "ldap.group_roles",
    list,
    [],
    _("What groups of the directory give, one a line: group = role, or group = role @ team; a name or a whole DN."),
    validate=group_roles.wrong,
)
register(
    "ldap.allow_new_people",
    bool,
    True,
    _("Whether people whom TONGCHOU_LDAP_USER_FILTER finds get an account at the first sign-in."),
)
