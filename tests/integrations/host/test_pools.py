"""Volume groups and pools, in the forms that LVM 2.03 and OpenZFS 2 write."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tongchou.integrations.host import pools


def report(name: str, *rows: dict[str, str]) -> dict[str, Any]:
    return {"report": [{name: list(rows)}]}


PVS = report("pv", {"pv_name": "/dev/sda3", "vg_name": "data"}, {"pv_name": "[unknown]", "vg_name": "data"},
             {"pv_name": "/dev/md0", "vg_name": "sys"}, {"pv_name": "/dev/sdz", "vg_name": ""})  # fmt: skip
VGS = report(
    "vg",
    {"vg_name": "data", "vg_size": "107369988096", "vg_free": "7369988096", "vg_missing_pv_count": "1"},
    {"vg_name": "sys", "vg_size": "62914560", "vg_free": "0", "vg_missing_pv_count": "0"},
)
LVS = report(
    "lv",
    {"lv_name": "thin", "vg_name": "data", "lv_size": "50000000000", "lv_path": "", "lv_layout": "thin,pool",
     "lv_health_status": "", "pool_lv": ""},
    {"lv_name": "web", "vg_name": "data", "lv_size": "10000000000", "lv_path": "/dev/data/web", "lv_layout": "thin,sparse",
     "lv_health_status": "", "pool_lv": "thin"},
    {"lv_name": "log", "vg_name": "data", "lv_size": "40000000000", "lv_path": "/dev/data/log", "lv_layout": "raid,raid1",
     "lv_health_status": "partial", "pool_lv": ""},
    {"lv_name": "root", "vg_name": "sys", "lv_size": "62914560", "lv_path": "/dev/sys/root", "lv_layout": "raid,raid1",
     "lv_health_status": "", "pool_lv": ""},
)  # fmt: skip


def test_volume_groups_with_their_volumes() -> None:
    data, sys_ = pools.volume_groups(PVS, VGS, LVS)
    assert (data.name, data.size_bytes, data.used_bytes, data.health) == ("data", 107369988096, 10**11, "degraded")
    assert (data.devices, data.spared) == (["/dev/sda3"], 0)
    assert [(each.name, each.thin, each.trouble) for each in data.volumes] == [
        ("thin", False, ""),
        ("web", True, ""),
        ("log", False, "partial"),
    ]
    assert (sys_.health, sys_.devices, sys_.spared) == ("ok", ["/dev/md0"], 1)  # all its volumes are mirrored


ZPOOL = """\
tank\t11991548690432\tONLINE
\traidz2-0\t11991548690432\t5421000000\t11986127690432\t-\t-\t0\t0\t-\tONLINE
\t/dev/sda1\t-\t-\t-\t-\t-\t-\t-\t-\tONLINE
\t/dev/sdb1\t-\t-\t-\t-\t-\t-\t-\t-\tONLINE
\t/dev/sdc1\t-\t-\t-\t-\t-\t-\t-\t-\tONLINE
\t/dev/sdd1\t-\t-\t-\t-\t-\t-\t-\t-\tONLINE
logs                     -      -      -        -         -      -      -      -         -
\t/dev/nvme0n1p4\t9000000000\t0\t9000000000\t-\t-\t0\t0\t-\tONLINE
cache                    -      -      -        -         -      -      -      -         -
\t/dev/nvme1n1\t9000000000\t0\t9000000000\t-\t-\t0\t0\t-\tONLINE
rpool\t238370684928\tDEGRADED
\tmirror-0\t238370684928\t1\t2\t-\t-\t1\t1\t-\tDEGRADED
\t/dev/nvme0n1p3\t-\t-\t-\t-\t-\t-\t-\t-\tONLINE
\t9077128120411\t-\t-\t-\t-\t-\t-\t-\t-\tUNAVAIL
old\t-\tFAULTED
\t/dev/sdx1\t100\t1\t99\t-\t-\t0\t0\t-\tFAULTED
"""


def test_pools_of_zfs() -> None:
    tank, rpool, old = pools.zpools(ZPOOL)
    assert (tank.name, tank.size_bytes, tank.health, tank.raid_level, tank.spared) == (
        "tank", 11991548690432, "ok", "z2", 2,
    )  # fmt: skip
    assert tank.devices == ["/dev/sda1", "/dev/sdb1", "/dev/sdc1", "/dev/sdd1"]  # it lives without its log and cache
    assert (rpool.health, rpool.raid_level, rpool.devices) == ("degraded", "1", ["/dev/nvme0n1p3"])
    assert (old.size_bytes, old.health, old.raid_level, old.spared) == (None, "failed", "", 0)


_json = st.recursive(
    st.none() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["report", "pv", "vg", "lv", "vg_name"]), inner),
    max_leaves=10,
)  # fmt: skip


@given(_json, _json, _json, st.text(alphabet="tank-mirror/dev\t\n 0129ONLIE"))
def test_nothing_breaks_the_readers(pvs: Any, vgs: Any, lvs: Any, listed: str) -> None:
    pools.volume_groups(pvs, vgs, lvs)
    for each in pools.zpools(listed):
        assert each.health in ("ok", "degraded", "failed")
