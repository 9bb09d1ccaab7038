"""Why a run was refused, stopped or failed: a code and its values are kept, the sentence is made for whoever reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import get_language, override
from django.utils.translation import gettext_lazy as _

SENTENCES: dict[str, str | Promise] = {
    "execution_off": _("Execution is switched off (setting execution.enabled)."),
    "target_not_allowed": _("Execution is not allowed on %(target)s (setting execution.targets)."),
    "no_target": _("This procedure needs a target."),
    "too_many_targets": _("%(count)s targets are more than the %(most)s this procedure may touch at once."),
    "target_twice": _("%(target)s is given twice."),
    "target_gone": _("%(target)s is no longer in the inventory."),
    "parameter_missing": _("The parameter %(name)s is missing."),
    "parameter_unknown": _("The procedure has no parameter %(name)s."),
    "parameter_wrong": _("The parameter %(name)s does not fit: %(why)s"),
    "template": _("Step %(step)s: %(why)s"),
    "query_invalid": _("Step %(step)s: the query is not PromQL: %(why)s"),
    "secret_missing": _("Step %(step)s needs the secret %(secret)s, which is not stored."),
    "kind_unknown": _("Step %(step)s: nothing installed here can run a step of kind %(kind)s."),
    "step_refused": _("Step %(step)s: %(why)s"),
    "precondition_false": _("Not true now: %(says)s"),
    "precondition_unknown": _("Cannot tell whether it is true: %(says)s (%(why)s)"),
    "approval_missing": _("No valid approval covers exactly this run."),
    "approval_expired": _("The approval expired before this step."),
    "approval_rejected": _("The approval was rejected by %(by)s. %(comment)s"),
    "approval_lapsed": _("Nobody decided before the request expired."),
    "content_changed": _("What would run is not what was approved: text, parameters, targets or plan were altered."),
    "newer_version": _("The procedure was changed after this run was requested; request it again."),
    "cancelled": _("Cancelled by %(by)s. %(comment)s"),
    "answer_stop": _("%(by)s answered: stop. %(comment)s"),
    "answer_none": _("Nobody answered within %(seconds)s s."),
    "read_false": _("The metrics say no: expected %(is)s."),
    "read_failed": _("The metrics could not be read: %(why)s"),
    "wait_timeout": _("Not true within %(seconds)s s: expected %(is)s for %(for)s s."),
    "http_status": _("The answer had status %(status)s; expected %(expected)s."),
    "http_refused": _("Not sent: %(why)s"),
    "http_failed": _("No usable answer (%(reason)s): %(why)s"),
    "http_unknown": _("No usable answer (%(reason)s): %(why)s. The request may have taken effect."),
    "step_broken": _("The step broke off: %(why)s"),
    "step_failed": _("Step %(step)s failed."),
    "rolled_back": _("Step %(step)s failed; rolled back by %(by)s."),
    "rescue_failed": _("Step %(step)s failed, and so did %(by)s, which answers that failure."),
    "branch_failed": _("Failed: %(branches)s."),
    "when_false": _("Skipped: its condition %(is)s was false."),
    "when_unknown": _("Its condition could not be asked: %(why)s"),
    "stopped": _("The emergency stop is on: nothing begins until it is lifted."),
    "rate_limited": _("At most %(runs)s runs within %(per)s; the next is allowed at %(at)s."),
    "preview_failed": _("Step %(step)s: what it would change could not be shown: %(why)s"),
}


# what refuses a run now and may be otherwise by the time it begins: whoever plans ahead goes on, the run looks again
PASSING = frozenset(
    {"execution_off", "target_not_allowed", "precondition_false", "precondition_unknown", "stopped", "rate_limited"}
)

# after these the other side has given its answer: what is tried again is a new request there
DEFINITE = {"http_status"}


def declare(sentences: Mapping[str, str | Promise], definite: Iterable[str] = ()) -> None:
    """Add the reasons of an integration's steps (in its run_time_settings.py, so that every process knows them).

    After one of the `definite` ones a step that is tried again has a new idempotency key.
    """
    SENTENCES.update(sentences)
    DEFINITE.update(definite)


@dataclass(frozen=True)
class Reason:
    """A code of SENTENCES with the values its sentence needs (plain JSON; a value may be {"en": ..., "zh": ...})."""

    code: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """What is kept in a row."""
        return {"code": self.code, "params": {key: _plain(value) for key, value in self.params.items()}}

    def __str__(self) -> str:
        return say(self.as_json())


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Promise) else dict(value) if isinstance(value, Mapping) else value


def in_language(text: Mapping[str, str]) -> str:
    """The text of a procedure in the language of whoever reads."""
    return str(text.get("zh" if (get_language() or "en").startswith("zh") else "en", ""))


def in_both_languages(says: Callable[[], str]) -> dict[str, str]:
    """A sentence as a row keeps it, {"en": ..., "zh": ...}; `says` makes it in the language that is active."""
    out = {}
    for key, language in (("en", "en"), ("zh", "zh-hans")):
        with override(language):
            out[key] = says()
    return out


def say(reason: Mapping[str, Any] | None) -> str:
    """The sentence for a kept reason in the reader's language; empty for none."""
    if not reason or not reason.get("code"):
        return ""
    values = {
        key: in_language(value) if isinstance(value, Mapping) else value
        for key, value in reason.get("params", {}).items()
    }
    sentence = str(SENTENCES.get(str(reason["code"]), reason["code"]))
    try:
        return (sentence % values).strip()
    except (KeyError, TypeError, ValueError):
        return sentence
