"""What the browser loads: ECharts only as pinned, our files stamped by content, a policy without inline scripts."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from tests.web.extraction import PACKAGE
from tongchou.core.models import Role
from tongchou.web import assets


def test_the_library_is_the_pinned_one_and_is_kept_for_good() -> None:
    response = Client().get(f"/assets/echarts-{assets.ECHARTS_SHA256[:12]}.js", headers={"Accept-Encoding": "gzip"})
    assert response.headers["Content-Encoding"] == "gzip"
    assert "immutable" in response.headers["Cache-Control"]
    body = gzip.decompress(response.content)
    assert b"export{" in body
    assert Client().get(f"/assets/echarts-{assets.ECHARTS_SHA256[:12]}.js").content == body


def test_another_file_in_the_wheel_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    changed = tmp_path / "echarts.js"
    changed.write_text("alert(1)")
    monkeypatch.setattr(assets, "echarts_path", lambda: changed)
    assets.echarts_gzipped.cache_clear()
    response = Client().get(f"/assets/echarts-{assets.ECHARTS_SHA256[:12]}.js")
    assets.echarts_gzipped.cache_clear()
    assert response.status_code == 503
    assert response.json()["code"] == "asset.changed"


def test_an_old_page_that_asks_for_an_old_library_is_told_to_reload() -> None:
    assert Client().get("/assets/echarts-000000000000.js").status_code == 404


def test_static_addresses_change_with_their_content() -> None:
    one, other = assets.asset_url("tongchou/app.js"), assets.asset_url("tongchou/base.css")
    assert re.fullmatch(r"/static/tongchou/app\.js\?v=[0-9a-f]{10}", one)
    assert one.rpartition("=")[2] != other.rpartition("=")[2]


def test_a_browser_that_asks_for_the_icon_gets_it() -> None:
    assert Client().get("/favicon.ico").headers["Content-Type"] == "image/svg+xml"


def test_scripts_come_from_this_host_and_never_inline(browser: Any) -> None:
    response = browser(Role.VIEWER).get("/")
    policy = response.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "unsafe-inline" not in policy.replace("style-src-attr 'unsafe-inline'", "")
    assert "default-src 'none'" in policy
    html = response.content.decode()
    scripts = re.findall(r"<script([^>]*)>", html)
    assert scripts
    assert all("src=" in each or 'type="application/json"' in each for each in scripts)
    assert not re.search(r"<[^>]+\son[a-z]+=", html)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.html")), ids=lambda path: path.name)
def test_no_template_names_another_host(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"""(src|href|action)=["']?(https?:)?//""", text)


@pytest.mark.parametrize("path", sorted((PACKAGE / "web" / "static").rglob("*.*")), ids=lambda path: path.name)
def test_no_static_file_loads_from_another_host(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert "http://" not in text
    assert "https://" not in text
