"""The shop's files for the platform: rules and procedures, and the rules' durations for a quick scenario."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

SHOP = Path(__file__).parent / "shop"
PROCEDURES = (
    "switch-to-standby", "roll-back-release", "scale-out-storefront", "scale-in-storefront", "restart-leaking-process",
    "drain-slow-instance", "free-spool",
)  # fmt: skip


def rule_file() -> str:
    """The rule file as shipped: scrape every 5 s, days of an hour."""
    return (SHOP / "rules.yml").read_text(encoding="utf-8")


def quick_rule_file(*, for_seconds: int = 5, window_seconds: int = 15, interval_seconds: int = 1) -> str:
    """The same rules for a scrape every second: short windows, short `for`, frequent evaluation."""
    text = re.sub(r"(?m)^(\s+)for: \d+s$", rf"\g<1>for: {for_seconds}s", rule_file())
    text = re.sub(r"(?m)^(\s+)interval: \d+s$", rf"\g<1>interval: {interval_seconds}s", text)
    return text.replace("[1m]", f"[{window_seconds}s]")


def procedure(name: str) -> str:
    """One of the procedures, as YAML."""
    return (SHOP / f"{name}.yml").read_text(encoding="utf-8")


def objectives() -> dict[str, dict[str, Any]]:
    """What PUT /slos/<name> takes, by name: one objective for each service."""
    told = yaml.safe_load((SHOP / "objectives.yml").read_text(encoding="utf-8"))
    found = {}
    for each in told["objectives"]:
        queries = told["queries"].get(each["service"], told["queries"]["default"])
        found[f"{each['service']}-answers"] = {
            "title": {"en": each["en"], "zh": each["zh"]},
            "service": each["service"],
            "target": each["target"],
            "window": told["window"],
            "error_query": queries["error"].replace("$service", each["service"]),
            "total_query": queries["total"].replace("$service", each["service"]),
        }
    return found
