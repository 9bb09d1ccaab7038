"""What the inventory knows to check: whether those who subscribed to its changes are still told."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from tongchou.core.checks import Finding, Surroundings, check, ok, warn
from tongchou.inventory.models_given import Subscription


@check("inventory.subscriptions", _("Subscriptions"), needs_database=True)
def subscriptions(where: Surroundings) -> Finding:
    """None was stopped by failures."""
    stopped = list(Subscription.objects.filter(stopped_at__isnull=False).values_list("name", flat=True))
    if stopped:
        return warn(
            _("Stopped after failing too often: %(names)s.") % {"names": ", ".join(stopped)[:300]},
            _("Open Resources, Use elsewhere, Subscriptions: each says why; switched on, it goes on."),
        )
    return ok(_("%(count)s subscriptions.") % {"count": Subscription.objects.count()})
