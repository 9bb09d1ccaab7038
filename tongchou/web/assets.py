"""Files the browser loads: our own, stamped with their content; ECharts out of its pinned wheel, checked by SHA-256."""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse
from django.templatetags.static import static
from django.urls import reverse

from tongchou.core.problems import NotFound, Unavailable
from tongchou.web.gate import public

# Apache ECharts 6.1.0 as an ES module, in the wheel instaui-echarts 0.8.0 (the wheel's own code is never imported).
ECHARTS_WHEEL = "instaui_echarts"
ECHARTS_FILE = "static/echarts.esm.min.js"
ECHARTS_SHA256 = "28515f26aa57f87eb1e4ed4eb446927eaf329b5f5e02b4bfd4b0264fea40d1da"
FOREVER = "public, max-age=31536000, immutable"


class AssetChanged(RuntimeError):
    """A file out of a wheel is not the file we pinned."""


def echarts_path() -> Path:
    """Return where the wheel put ECharts; raises AssetChanged when the wheel is not installed."""
    spec = find_spec(ECHARTS_WHEEL)
    if spec is None or spec.origin is None:
        raise AssetChanged(f"the wheel of {ECHARTS_WHEEL} is not installed")
    return Path(spec.origin).parent / ECHARTS_FILE


@cache
def echarts_gzipped() -> bytes:
    """Return the library gzip-compressed, after checking its pin. About 30 ms once, 370 KB kept."""
    body = echarts_path().read_bytes()
    found = hashlib.sha256(body).hexdigest()
    if found != ECHARTS_SHA256:
        raise AssetChanged(f"{ECHARTS_FILE} has SHA-256 {found}, pinned is {ECHARTS_SHA256}")
    return gzip.compress(body, 6, mtime=0)


def echarts_url() -> str:
    """Return the address of the library; its name carries the content, so browsers keep it for good."""
    return reverse("web:echarts", args=[ECHARTS_SHA256[:12]])


@public
def echarts(request: HttpRequest, stamp: str) -> HttpResponse:
    """Serve ECharts from the wheel."""
    if stamp != ECHARTS_SHA256[:12]:
        raise NotFound("asset.unknown", "unknown asset version", remedy="Reload the page.")
    try:
        packed = echarts_gzipped()
    except (AssetChanged, OSError) as error:
        raise Unavailable(
            "asset.changed", str(error), remedy="Run `make setup` to install the pinned packages."
        ) from error
    headers = {"Cache-Control": FOREVER, "Vary": "Accept-Encoding", "X-Content-Type-Options": "nosniff"}
    if "gzip" not in request.headers.get("Accept-Encoding", ""):
        return HttpResponse(gzip.decompress(packed), content_type="text/javascript; charset=utf-8", headers=headers)
    headers["Content-Encoding"] = "gzip"
    return HttpResponse(packed, content_type="text/javascript; charset=utf-8", headers=headers)


@cache
def _stamp(path: str) -> str:
    found = finders.find(path)
    return hashlib.sha256(Path(found).read_bytes()).hexdigest()[:10] if found else "0"


def asset_url(path: str) -> str:
    """Return the address of one of our static files, with a stamp of its content so that an upgrade is seen at once."""
    if settings.DEBUG:
        _stamp.cache_clear()
    return f"{static(path)}?v={_stamp(path)}"


@public
def favicon(request: HttpRequest) -> HttpResponse:
    """Serve the mark to browsers that ask for /favicon.ico whatever the page says."""
    found = finders.find("tongchou/mark.svg")
    body = Path(found).read_bytes() if found else b""
    return HttpResponse(body, content_type="image/svg+xml", headers={"Cache-Control": "public, max-age=86400"})
