"""The rule file by which the platform watches itself: installed once, kept up only while nobody changed it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tongchou.alerting.actions import put_rule_file
from tongchou.alerting.models import RuleFile
from tongchou.alerting.run_time_settings import SELF_RULES
from tongchou.core import settings_store
from tongchou.core.access import Actor

NAME = "tongchou-self.yml"
SHIPPED = Path(__file__).with_name("self_rules.yml")


def ensure(*, actor: Actor) -> bool:
    """At every start: install the shipped file, or bring it to this release's; whether it was written.

    A file that a person changed stays as it is, and one that a person deleted stays away.
    """
    text = SHIPPED.read_text(encoding="utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()
    written = str(settings_store.get(SELF_RULES, ""))
    row = RuleFile.objects.filter(name=NAME).first()
    if row is None and written:
        return False
    if row is not None and (row.digest != written or row.digest == digest):
        return False
    put_rule_file(actor=actor, name=NAME, text=text)
    settings_store.put(actor=actor, key=SELF_RULES, value=digest)
    return True
