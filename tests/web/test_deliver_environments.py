"""The page of environments: administrators name them, everybody reads them."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from tongchou.changes.models_release import Environment
from tongchou.core.models import Role

pytestmark = pytest.mark.django_db
PAGE, RETIRE = "web:release-environments", "web:release-environment-retire"
FORM = {
    "name": "production", "position": "30", "needs_previous": "on", "soak": "24", "unit": "3600", "consent": "standing",
}  # fmt: skip


def test_an_administrator_names_changes_and_retires_one(browser: Any) -> None:
    admin = browser(Role.ADMIN)
    assert "No environment is named yet" in admin.get(reverse(PAGE)).content.decode()
    assert admin.post(reverse(PAGE), FORM).status_code == 302
    row = Environment.objects.get()
    assert (row.position, row.soak_seconds, row.consent, row.needs_previous) == (30, 86_400, "standing", True)
    page = admin.get(reverse(PAGE), {"name": "production"}).content.decode()
    assert 'name="soak" min="0" required value="1"' in page, "in the largest unit that fits"
    assert "for 1d 0h at least" in page
    other = {**FORM, "soak": "0", "consent": "each"}
    other.pop("needs_previous")
    assert admin.post(reverse(PAGE), other).status_code == 302
    row.refresh_from_db()
    assert (row.soak_seconds, row.consent, row.needs_previous) == (0, "each", False)
    assert admin.post(reverse(RETIRE), {"name": "production"}).status_code == 302
    assert Environment.objects.get().retired_at is not None
    assert admin.post(reverse(RETIRE), {"name": "nowhere"}).status_code == 404


@pytest.mark.parametrize(
    ("name", "value"), [("name", "a/b"), ("name", " "), ("position", "x"), ("soak", "-1"), ("consent", "perhaps")]
)
def test_what_is_wrong_is_told_at_its_field(browser: Any, name: str, value: str) -> None:
    answer = browser(Role.ADMIN).post(reverse(PAGE), {**FORM, name: value})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert not Environment.objects.exists()
    at = page.index(f'name="{name}"')
    assert 'class="error"' in page[at : at + 1200]


def test_others_read_and_change_nothing(browser: Any) -> None:
    browser(Role.ADMIN).post(reverse(PAGE), FORM)
    person = browser(Role.OPERATOR, "zh-hans")
    page = person.get(reverse(PAGE)).content.decode()
    assert "production" in page
    assert 'id="form"' not in page
    assert "Environments" not in page
    assert person.post(reverse(PAGE), {**FORM, "position": "1"}).status_code == 403
    assert person.post(reverse(RETIRE), {"name": "production"}).status_code == 403
    assert Environment.objects.get().position == 30
