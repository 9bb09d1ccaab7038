"""What an operator may change about requirements and their reviews while the platform runs."""

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from tongchou.changes import (
    control_settings,  # noqa: F401  # registers those of change control
    iac_settings,  # noqa: F401  # registers those of workspaces
    observed_settings,  # noqa: F401  # registers those of what sources observe
)
from tongchou.core.settings_store import register

REVIEW_CHECKLIST = "changes.review_checklist"
MAX_QUESTIONS, MAX_QUESTION = 40, 300
# Shown through gettext: whoever replaces them writes their own language.
QUESTIONS = [
    gettext_noop("The need is said in words of the business, with who has it and what happens without it."),
    gettext_noop("The expected load has numbers, and says how they were found."),
    gettext_noop("A target of availability, RTO and RPO are stated, or why there are none."),
    gettext_noop("The class of the data and the MLPS level are stated."),
    gettext_noop("The services it concerns, and what they need, are in the inventory."),
    gettext_noop("A date and a budget are stated, by somebody who may."),
    gettext_noop("Backup, monitoring, access and a way back are part of what is wanted."),
    gettext_noop("Those who will operate it were asked."),
]


def _questions(value: Any) -> str | Promise | None:
    texts = [each for each in value if isinstance(each, str) and 0 < len(each.strip()) <= MAX_QUESTION]
    if len(texts) != len(value) or len(set(texts)) != len(texts) or len(texts) > MAX_QUESTIONS:
        return _("At most %(most)s different questions of 1 to %(letters)s characters.") % {
            "most": MAX_QUESTIONS,
            "letters": MAX_QUESTION,
        }
    return None


register(
    REVIEW_CHECKLIST,
    list,
    QUESTIONS,
    _("The questions that the review of a requirement answers; a review that has begun keeps those it began with."),
    validate=_questions,
)
