"""What alerting knows to check: whether the channels that tell people still reach them."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.alerting.models import Channel, Notification, NotificationState, RuleGroup
from tongchou.core.checks import Finding, Surroundings, check, ok, warn

LOOK_BACK = timedelta(days=1)


@check("alerting.channels", _("Channels"), needs_database=True)
def channels(where: Surroundings) -> Finding:
    """No channel fails, and there is one when there are rules. What a channel answered is not shown here."""
    enabled = list(Channel.objects.filter(enabled=True))
    failing = sorted(each.name for each in enabled if each.failures)
    if failing:
        return warn(
            _("The last messages did not arrive on: %(names)s.") % {"names": ", ".join(failing)[:300]},
            _("Open Alerts, Channels: each says what was answered, and can be tested."),
        )
    lost = Notification.objects.filter(
        state=NotificationState.FAILED, finished_at__gt=timezone.now() - LOOK_BACK
    ).count()
    if lost:
        return warn(
            _("%(count)s messages of the last day were given up.") % {"count": lost},
            _("Open Alerts, Channels, and test each channel."),
        )
    if not enabled and RuleGroup.objects.exists():
        return warn(
            _("There are alert rules and no channel: alerts are seen on the pages only."),
            _("Add a channel under Alerts, Channels."),
        )
    return ok(_("%(count)s channels.") % {"count": len(enabled)})
