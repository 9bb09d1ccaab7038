"""Software RAID, as the kernel writes it in /proc/mdstat."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.integrations.host import raid

MDSTAT = """\
Personalities : [raid1] [raid6] [raid5] [raid4] [raid10] [raid0] [linear]
md0 : active raid1 sdb1[1] sda1[0]
      524224 blocks super 1.0 [2/2] [UU]
      bitmap: 1/1 pages [4KB], 65536KB chunk

md1 : active raid1 sdb2[2](F) sda2[0]
      104320 blocks [2/1] [U_]

md2 : active raid5 sdf1[5] sde1[2] sdc1[1] sdg1[3] sda3[0]
      7813529600 blocks super 1.2 level 5, 512k chunk, algorithm 2 [5/4] [UUUU_]
      [=>...................]  recovery = 12.6% (37043392/292945152) finish=127.5min speed=33440K/sec

md3 : active raid6 sdh1[4](S) sdd1[3] sdc2[2] sdb3[1](F) sda4[0](F)
      1953258496 blocks super 1.2 level 6, 64k chunk, algorithm 2 [4/2] [__UU]

md4 : active (auto-read-only) raid10 nvme0n1p3[0] nvme1n1p3[1] nvme2n1p3[2] nvme3n1p3[3]
      209584128 blocks super 1.2 512K chunks 2 near-copies [4/4] [UUUU]
        resync=PENDING

md5 : active raid0 sdb5[1] sda5[0]
      2925532672 blocks super 1.2 64k chunks

md6 : inactive sdc3[2](S)
      1953514 blocks super 1.2

md7 : active raid1 sdb6[1] sda6[0]
      8387520 blocks super 1.0 [2/2] [UU]
      [====>................]  check = 23.4% (1963200/8387520) finish=4.6min speed=23178K/sec

md126 : active raid1 sdi[1] sdj[0]
      1000202240 blocks super external:/md127/0 [2/2] [UU]

md127 : inactive sdi[1](S) sdj[0](S)
      5226 blocks super external:imsm

md8 : active raid5 sdc7[1] sdb7[0]
      3906764800 blocks super 1.2 level 5, 512k chunk, algorithm 2 [4/2] [UU__]

unused devices: <none>
"""


def test_arrays_and_their_health() -> None:
    found = {each.name: each for each in raid.arrays(MDSTAT)}
    assert {name: (each.raid_level, each.health) for name, each in found.items()} == {
        "md0": ("1", "ok"),
        "md1": ("1", "degraded"),
        "md2": ("5", "rebuilding"),
        "md3": ("6", "degraded"),
        "md4": ("10", "rebuilding"),
        "md5": ("0", "ok"),
        "md6": ("", "failed"),
        "md7": ("1", "ok"),
        "md126": ("1", "ok"),
        "md8": ("5", "failed"),
    }
    assert found["md3"].members == ("sda4", "sdb3", "sdc2", "sdd1", "sdh1")
    assert (found["md3"].spares, found["md3"].failed, found["md3"].wanted, found["md3"].spared) == (1, 2, 4, 2)
    assert (found["md2"].size_bytes, found["md2"].chunk_bytes) == (7813529600 * 1024, 512 * 1024)


def test_a_kernel_without_arrays_has_none() -> None:
    assert raid.arrays("Personalities : \nunused devices: <none>\n") == raid.arrays("") == []


@pytest.mark.parametrize(
    "name, whole",
    [("sda1", "sda"), ("sdaa12", "sdaa"), ("nvme0n1p3", "nvme0n1"), ("mmcblk0p1", "mmcblk0"), ("md0p1", "md0"),
     ("sda", "sda"), ("nvme0n1", "nvme0n1"), ("md127", "md127"), ("dm-3", "dm-3"), ("vdb2", "vdb"), ("zd16p1", "zd16")],
)  # fmt: skip
def test_the_disk_of_a_partition(name: str, whole: str) -> None:
    assert raid.whole_of(name) == whole


def test_what_lies_under_mapped_devices() -> None:
    below = {"dm-1": ("dm-0",), "dm-0": ("sda2", "md0p1"), "dm-9": ("dm-9",)}
    assert raid.carriers("dm-1", lambda name: below.get(name, ())) == {"sda", "md0"}
    assert raid.carriers("dm-9", lambda name: below.get(name, ())) == {"dm-9"}  # a circle ends
    assert raid.carriers("sdb1", lambda name: ()) == {"sdb"}


@given(st.text(alphabet=st.sampled_from("md0 :activeinactiveraid1sda[0](F)U_/\n\tk%=resync"), max_size=300))
def test_no_text_breaks_the_reader(text: str) -> None:
    for each in raid.arrays(text):
        assert each.health in ("ok", "degraded", "rebuilding", "failed")


@given(st.lists(st.text("sdabc123", min_size=1, max_size=5), min_size=1, max_size=8, unique=True), st.data())
def test_missing_members_are_told(names: list[str], data: st.DataObject) -> None:
    """Of a RAID 1, whatever its members: whole, degraded while one is left, broken without any."""
    lost = data.draw(st.integers(0, len(names)))
    members = " ".join(f"{name}[{at}]{'(F)' if at < lost else ''}" for at, name in enumerate(names))
    marks = "_" * lost + "U" * (len(names) - lost)
    text = f"md9 : active raid1 {members}\n      104320 blocks [{len(names)}/{len(names) - lost}] [{marks}]\n"
    [array] = raid.arrays(text)
    assert array.health == ("ok" if not lost else "failed" if lost == len(names) else "degraded")
    assert array.members == tuple(sorted(names))
