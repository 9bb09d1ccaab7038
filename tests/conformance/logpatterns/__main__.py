"""`python -m tests.conformance.logpatterns FOLDER` measures the log pattern miner on systems with known templates.

FOLDER is where logs-loghub2k was extracted to. For each system, with its original labels and the Content column, as in
the literature: GA (share of lines whose group is exactly a true one), PA (share of lines whose template is the true
one), FGA (F1 over groups). One setting for all systems; nothing is tuned to a system.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.conformance.logpatterns.measure import BadSet, judge, structured


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.logpatterns")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    try:
        files = structured(options.folder)
        found = {}
        for system, path in files.items():
            began = time.perf_counter()
            found[system] = judge(path)
            row = found[system]
            seconds = time.perf_counter() - began
            print(
                f"{system:12} GA {row.ga:.3f}  PA {row.pa:.3f}  FGA {row.fga:.3f}"
                f"  groups {row.groups:4} of {row.true_groups:4}  {row.lines / seconds:,.0f} lines/s"
            )
    except BadSet as error:
        print(error, file=sys.stderr)
        return 2
    count = len(found)
    mean = {name: sum(getattr(row, name) for row in found.values()) / count for name in ("ga", "pa", "fga")}
    print(f"{'mean':12} GA {mean['ga']:.3f}  PA {mean['pa']:.3f}  FGA {mean['fga']:.3f}  ({count} systems)")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
