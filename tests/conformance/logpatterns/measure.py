"""Grouping accuracy (GA), template accuracy by line (PA) and F1 over templates (FGA), as the literature defines them."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tongchou.telemetry.logs.patterns import Miner

_WILDS = re.compile(r"<\*>(?:\s*<\*>)*")


class BadSet(Exception):
    """The folder does not hold what it must; the text names the file."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """`lines` is how many were judged; shares of lines (ga, pa) and the F1 of groups (fga)."""

    lines: int
    groups: int
    true_groups: int
    ga: float
    pa: float
    fga: float


def accuracy(
    found: Sequence[Hashable], templates: Sequence[str], true: Sequence[Hashable], true_templates: Sequence[str]
) -> Accuracy:
    """Judge groups and templates line by line. A group is right when its lines are exactly those of a true one."""
    pairs = Counter(zip(found, true, strict=True))
    mine, theirs = Counter(found), Counter(true)
    right = {pair for pair, count in pairs.items() if count == mine[pair[0]] == theirs[pair[1]]}
    in_right = sum(pairs[pair] for pair in right)
    same = sum(normal(a) == normal(b) for a, b in zip(templates, true_templates, strict=True))
    count = max(1, len(found))
    precision, recall = len(right) / max(1, len(mine)), len(right) / max(1, len(theirs))
    fga = 2 * precision * recall / (precision + recall) if right else 0.0
    return Accuracy(len(found), len(mine), len(theirs), in_right / count, same / count, fga)


def normal(template: str) -> str:
    """A template with runs of wildcards as one and single spaces."""
    return " ".join(_WILDS.sub("<*>", template).split())


def judge(path: Path, **options: float) -> Accuracy:
    """The product's miner over the Content column of a `_structured` file."""
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"Content", "EventId", "EventTemplate"} <= rows[0].keys():
        raise BadSet(f"{path}: the columns Content, EventId and EventTemplate are wanted")
    miner = Miner(**options)  # type: ignore[arg-type]  # the miner's own keywords
    groups = [miner.add(row["Content"]) for row in rows]
    ids = [group.id if group else -1 for group in groups]
    templates = [group.template if group else "" for group in groups]
    return accuracy(ids, templates, [row["EventId"] for row in rows], [row["EventTemplate"] for row in rows])


def structured(folder: Path) -> dict[str, Path]:
    """System -> its structured file with the original labels, below a folder. Raises BadSet."""
    found = {path.name.split("_2k.log")[0]: path for path in sorted(folder.rglob("*.log_structured.csv"))}
    if not found:
        raise BadSet(f"{folder}: no *.log_structured.csv in it or below; give the folder the set was extracted to")
    return found
