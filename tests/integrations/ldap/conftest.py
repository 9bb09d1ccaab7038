"""A directory of its own for the tests: started once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("django_auth_ldap", reason="the extra ldap is not installed (requirements-ldap.txt)")

from tests.integrations.ldap import directory as real

if TYPE_CHECKING:
    from tests.integrations.ldap.directory import Slapd


@pytest.fixture(scope="session")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """Debian's slapd; without it the tests say so."""
    if real.missing():
        pytest.skip(real.missing())
    made = real.Slapd(tmp_path_factory.mktemp("slapd"))
    try:
        yield made.start().grow()
    finally:
        made.stop()
