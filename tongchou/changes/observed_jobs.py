"""What sources observed is read from the ledger by the clock."""

from tongchou.changes import observed_items
from tongchou.core.jobs import periodic


@periodic("changes.observed", every_seconds=5)
def read_observed() -> None:
    """Make items of what was seen modified since the last turn."""
    observed_items.read_on()
