"""Windows of changes are looked after by the clock."""

from django.utils import timezone

from tongchou.changes import control_work
from tongchou.core.jobs import periodic


@periodic("changes.windows", every_seconds=15)
def keep_windows() -> None:
    """Open and close what the windows of changes open and close."""
    control_work.keep_windows(timezone.now())
