"""A provider of its own for the tests of single sign-on: started once, with a client for the test server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integrations.oidc.provider import Provider, missing


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    """glewlwyd, which is not of our making; without it the tests say so."""
    if missing():
        pytest.skip(missing())
    made = Provider(tmp_path_factory.mktemp("glewlwyd"))
    try:
        yield made.start("http://testserver/accounts/oidc/oidc/login/callback/")
    finally:
        made.stop()
