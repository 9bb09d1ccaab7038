"""A small client of the platform's public API: what any script of a user could do with a token."""

from __future__ import annotations

from typing import Any

import httpx


class ApiError(Exception):
    """The platform refused or did not answer. `status` is 0 without an answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Platform:
    """The platform as one token sees it. Every method raises ApiError."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self.token = url.rstrip("/"), token
        headers = {"Authorization": f"Bearer {token}", "Accept-Language": "en"}
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=20.0, trust_env=False)

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def _send(self, method: str, path: str, **options: Any) -> Any:
        try:
            response = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise ApiError(0, f"{method} {path}: {type(error).__name__}: {error}") from error
        if response.status_code >= 400:
            raise ApiError(response.status_code, f"{method} {path}: {response.status_code} {response.text[:600]}")
        if not response.content:
            return None
        return response.json() if "json" in response.headers.get("content-type", "") else response.text

    def get(self, path: str, **parameters: Any) -> Any:
        """GET /api/v1<path>."""
        return self._send("GET", f"/api/v1{path}", params=parameters)

    def items(self, path: str, **parameters: Any) -> list[dict[str, Any]]:
        """The items of a list."""
        found: list[dict[str, Any]] = self.get(path, **parameters)["items"]
        return found

    def post(self, path: str, body: object | None = None) -> Any:
        """POST JSON to /api/v1<path>."""
        return self._send("POST", f"/api/v1{path}", json={} if body is None else body)

    def put(self, path: str, body: object) -> Any:
        """PUT JSON to /api/v1<path>."""
        return self._send("PUT", f"/api/v1{path}", json=body)

    def put_yaml(self, path: str, text: str) -> Any:
        """PUT a YAML text to /api/v1<path>."""
        return self._send("PUT", f"/api/v1{path}", content=text.encode(), headers={"Content-Type": "text/yaml"})

    def ready(self) -> bool:
        """Whether /readyz says yes."""
        try:
            return self._http.get("/readyz", timeout=2.0).status_code == 200
        except httpx.HTTPError:
            return False

    def query(self, promql: str) -> list[tuple[dict[str, str], float]]:
        """An instant query now: (labels, value) of each sample."""
        answer = self._send("GET", "/prometheus/api/v1/query", params={"query": promql})
        return [(sample["metric"], float(sample["value"][1])) for sample in answer["data"]["result"]]

    def number(self, promql: str) -> float | None:
        """The value of a query that gives one sample; None when it gives none."""
        found = self.query(promql)
        return found[0][1] if found else None
