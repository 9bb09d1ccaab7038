"""`python -m tests.conformance.rca FOLDER` ranks the causes of the recorded faults of a set, and prints the figures.

FOLDER is where rca-petshop, rca-sockshop-rcd or rca-nezha was extracted to (it, or a folder below, has labels.json).
For each part, method and kind of fault: top-1 and top-3 (share of the cases whose true cause is among the first one or
three) and Avg@5 (mean of top-1 to top-5). `tongchou` is the product's own detector and scoring; `latest change` and
`largest z` are the baselines of the product's page; `random` is the exact chance of a random order. All get the same
series and graph, and may name the same services. A set without topology is ranked without.
The exit code is 0 when all cases could be read; 2 with the reason when not.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from django.conf import settings

from tests.conformance.rca.cases import BadSet
from tests.conformance.rca.measure import lines, measure
from tests.conformance.rca.methods import METHODS
from tests.conformance.rca.sets import load


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.rca")
    parser.add_argument("-v", "--verbose", action="store_true", help="list the rank of the cause in every case")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    if not settings.configured:
        settings.configure(USE_I18N=False)
    try:
        parts = load(options.folder)
    except BadSet as error:
        print(error, file=sys.stderr)
        return 2
    for part, cases in parts.items():
        began = time.perf_counter()
        found = measure(cases)
        topology = "with topology" if any(case.calls is not None for case in cases) else "no topology in the set"
        blind = sum(1 for case in cases if case.base.shape[1] < 5)
        note = f", {blind} cases without a normal phase (no shift can be told)" if blind else ""
        seconds = time.perf_counter() - began
        print("\n".join(lines(f"{part}: {len(cases)} cases, {topology}{note}, {seconds:.1f} s", found)))
        if options.verbose:
            for case in cases:
                ranks = {name: method(case) for name, method in METHODS.items()}
                places = {
                    n: answer.index(case.truth) + 1 if case.truth in answer else "-" for n, answer in ranks.items()
                }
                print(f"  {case.name} ({case.truth}): {places}; tongchou says {ranks['tongchou'][:5]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
