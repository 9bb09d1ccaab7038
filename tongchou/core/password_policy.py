"""Which passwords will do: length, leaked lists, no way back to the last ones. Named in settings, asked by Django."""

from __future__ import annotations

from django.contrib.auth.hashers import check_password
from django.contrib.auth.password_validation import CommonPasswordValidator
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from tongchou.core import settings_store
from tongchou.core.models import OldPassword, User

KEPT_HASHES = 12  # the most the setting sign_in.password_reuse can ask for


class LengthValidator:
    """At least `sign_in.password_min_length` characters."""

    def validate(self, password: str, user: User | None = None) -> None:
        """Raise ValidationError for a shorter one."""
        least = int(settings_store.get("sign_in.password_min_length", 10))
        if len(password) < least:
            raise ValidationError(_("The password is too short: at least %(least)s characters.") % {"least": least})

    def get_help_text(self) -> str:
        """What is wanted."""
        least = int(settings_store.get("sign_in.password_min_length", 10))
        return _("At least %(least)s characters.") % {"least": least}


class CommonValidator(CommonPasswordValidator):
    """Not one of Django's list of leaked passwords, while `sign_in.password_refuse_common` is on."""

    def validate(self, password: str, user: User | None = None) -> None:
        """Raise ValidationError for a listed one."""
        if settings_store.get("sign_in.password_refuse_common", True):
            super().validate(password, user)


class ReuseValidator:
    """None of the person's last `sign_in.password_reuse` passwords, the present one included."""

    def validate(self, password: str, user: User | None = None) -> None:
        """Raise ValidationError for one of them. Each comparison costs one slow hash."""
        last = int(settings_store.get("sign_in.password_reuse", 0))
        if user is None or not user.password or last < 1:
            return
        older = OldPassword.objects.filter(user=user).order_by("-pk").values_list("hash", flat=True)[: last - 1]
        if any(check_password(password, each) for each in (user.password, *older)):
            raise ValidationError(_("This is one of the last %(last)s passwords of this account.") % {"last": last})

    def get_help_text(self) -> str:
        """What is wanted."""
        return _("Not one of the last passwords.")


def remember(user: User, old_hash: str) -> None:
    """Keep the hash that is being replaced; more than KEPT_HASHES are not kept. In the caller's transaction."""
    if not old_hash or old_hash.startswith("!"):
        return
    OldPassword.objects.create(user=user, hash=old_hash)
    kept = OldPassword.objects.filter(user=user).order_by("-pk").values_list("pk", flat=True)[:KEPT_HASHES]
    OldPassword.objects.filter(user=user).exclude(pk__in=list(kept)).delete()
