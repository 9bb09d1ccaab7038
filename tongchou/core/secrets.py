"""Secrets: encrypted at rest with a key that lies outside the database; used, never shown."""

from __future__ import annotations

import re
from functools import cache

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core import ledger
from tongchou.core.access import Actor, check
from tongchou.core.keys import load_or_create_key
from tongchou.core.models import Secret
from tongchou.core.problems import Invalid, NotFound, Unavailable
from tongchou.core.refs import ref

MAX_CHARACTERS = 65_536
_NAME = re.compile(r"\A[a-z0-9][a-z0-9._:-]{0,119}\Z")


@cache
def _box(path: str) -> Fernet:
    return Fernet(key_text())


def key_text() -> str:
    """The key itself, made when there is none. For its use and its fingerprint only."""
    return load_or_create_key(settings.SECRETS_KEY_FILE, make=lambda: Fernet.generate_key().decode())


def _fernet() -> Fernet:
    return _box(str(settings.SECRETS_KEY_FILE))


def put(*, actor: Actor, name: str, value: str) -> Secret:
    """Store or replace a secret. Event secret.changed carries the name only."""
    check(actor, "secrets.manage")
    if not _NAME.match(name):
        raise Invalid(
            "secret.name",
            _("A secret's name has lower-case letters, digits and . _ : - only."),
            field="name",
            value=name,
            remedy=_("Rename it, e.g. shop-control."),
        )
    if not value or len(value) > MAX_CHARACTERS:
        raise Invalid(
            "secret.value",
            _("A secret has 1 to %(most)s characters.") % {"most": MAX_CHARACTERS},
            field="value",
            remedy=_("Send the value as text."),
        )
    ciphertext = seal(value)
    with transaction.atomic():
        row, _created = Secret.objects.update_or_create(
            name=name, defaults={"ciphertext": ciphertext, "updated_at": timezone.now(), "updated_by_name": actor.name}
        )
        ledger.record(actor=actor, verb="secret.changed", subject=ref(row), payload={"name": name})
    return row


def sealed(text: str) -> str:
    """Return a short text encrypted with the key of the secrets, for a row of another table."""
    return _fernet().encrypt(text.encode()).decode()


def opened(ciphertext: str) -> str:
    """Return what was `sealed`. Raises Unavailable when the key is another one."""
    try:
        return _fernet().decrypt(ciphertext.encode()).decode()
    except InvalidToken as error:
        raise Unavailable(
            "secret.key",
            _("A value was encrypted with another key."),
            remedy=_("Put back the key file TONGCHOU_SECRETS_KEY_FILE names."),
        ) from error


def reveal(name: str) -> str:
    """Return a secret's value for use at the edge. The caller must not log, store or return it."""
    row = Secret.objects.filter(name=name).first()
    if row is None:
        raise NotFound(
            "secret.unknown",
            _("There is no secret named %(name)s.") % {"name": name},
            remedy=_("Create it under Settings, Secrets."),
        )
    return unseal(row.ciphertext, name=name)


def seal(text: str) -> str:
    """Encrypt with the key of this installation; for columns that lie in the database (core.sealed)."""
    return _fernet().encrypt(text.encode()).decode()


def unseal(ciphertext: str, *, name: str) -> str:
    """Decrypt what `seal` made. Raises Unavailable, naming `name`, when it was another key."""
    try:
        return _fernet().decrypt(ciphertext.encode()).decode()
    except InvalidToken as error:
        raise Unavailable(
            "secret.key",
            _("The secret %(name)s was encrypted with another key.") % {"name": name},
            remedy=_("Put back the key file TONGCHOU_SECRETS_KEY_FILE names, or store the secret again."),
        ) from error


def names() -> list[str]:
    """Return the names of all secrets, sorted."""
    return list(Secret.objects.order_by("name").values_list("name", flat=True))


def delete(*, actor: Actor, name: str) -> None:
    """Delete a secret; what uses it refuses from then on."""
    check(actor, "secrets.manage")
    with transaction.atomic():
        row = Secret.objects.filter(name=name).first()
        if row is None:
            raise NotFound("secret.unknown", _("There is no secret named %(name)s.") % {"name": name})
        ledger.record(actor=actor, verb="secret.deleted", subject=ref(row), payload={"name": name})
        row.delete()
