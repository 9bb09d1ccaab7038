"""The page of a dashboard with 10, 20 and 30 panels: server time, of the processor. Its panels ask for themselves."""

from __future__ import annotations

import statistics
import time
from typing import Any

from bench._platform import platform

PANELS, READS, BOUND_MS = (10, 20, 30), 9, 100.0
KINDS = ("graph", "stat", "table", "gauge", "text")


def panel(number: int) -> dict[str, Any]:
    kind = KINDS[number % len(KINDS)]
    rate = f'sum by (instance) (rate(bench_{number}_total{{job=~"$job"}}[$__rate_interval]))'
    more: dict[str, Any] = {"text": "**What** to look at: $job"} if kind == "text" else {"queries": [{"expr": rate}]}
    return {"id": number + 1, "kind": kind, "y": number * 10, "title": f"Panel {number} of $job", **more}


def main() -> int:
    with platform():
        from bench.lists import client
        from tongchou.core.access import system
        from tongchou.telemetry import dashboard_actions

        browser, slow = client(), 0
        for count in PANELS:
            variables = [{"name": "job", "query": "label_values(up, job)", "multi": True, "all": True}]
            definition = {"variables": variables, "rows": [{"panels": [panel(number) for number in range(count)]}]}
            made = dashboard_actions.content({"title": f"Bench {count}", "definition": definition})
            dashboard_actions.create(actor=system("bench"), made=made, name=f"bench-{count}")
            took = []
            for _read in range(READS + 1):
                began = time.thread_time()
                answer = browser.get(f"/dashboards/bench-{count}")
                took.append((time.thread_time() - began) * 1000)
            if answer.status_code != 200 or answer.content.decode().count("data-panel=") != count:
                raise RuntimeError(f"{answer.status_code}: not a page with {count} panels")
            middle = statistics.median(took[1:])
            slow += middle > BOUND_MS
            print(f"{count} panels: median {middle:.0f} ms, first {took[0]:.0f} ms, {len(answer.content) / 1e3:.0f} kB")
    return 1 if slow else 0


if __name__ == "__main__":
    raise SystemExit(main())
