"""What the inventory tells of itself in /metrics."""

from __future__ import annotations

from typing import Any

import pytest

from tests.inventory.made import make
from tongchou.core.meters import families


@pytest.mark.django_db
@pytest.mark.parametrize("odd", [["failed"], {"failed": 1}, "splendid", 7, True])
def test_a_state_of_health_that_is_no_word_of_ours_counts_as_nothing_and_breaks_nothing(odd: Any) -> None:
    make("raid_set", "md0", health="degraded")
    make("raid_set", "md1", smart_health=odd)
    make("disk", "sda", health=odd)
    [family] = [each for each in families() if each.name == "tongchou_inventory_storage_unhealthy"]
    counted = {labels[0][1]: value for _suffix, labels, value in family.samples}
    assert counted == {"warning": 0, "failed": 0, "degraded": 1, "rebuilding": 0}
