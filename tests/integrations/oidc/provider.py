"""A real OpenID provider for tests: Debian's glewlwyd on SQLite, set up through its API."""

from __future__ import annotations

import gzip
import secrets
import shutil
import socket
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

BINARY = shutil.which("glewlwyd")
SCHEMA = Path("/usr/share/doc/glewlwyd/database/init.sqlite3.sql.gz")
START_SECONDS = 20
PASSWORD = "a test's password"


def missing() -> str:
    """Return why there is no provider on this machine; empty when there is one."""
    if BINARY is None or not SCHEMA.exists():
        return "no glewlwyd on this machine (apt-get install glewlwyd)"
    return ""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Provider:
    """glewlwyd on a free port; its people and their groups are changed through its own API."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self.url = f"http://localhost:{self.port}"
        self.issuer = f"{self.url}/api/oidc"
        self.client_id, self.client_secret = "tongchou", secrets.token_urlsafe(24)
        self._process: subprocess.Popen[bytes] | None = None
        self._admin = httpx.Client(base_url=f"{self.url}/api", timeout=10)

    def start(self, redirect_uri: str) -> Provider:
        """Start it, wait until it answers, make the plugin, the scope's claims and our client."""
        database = self.folder / "glewlwyd.db"
        with sqlite3.connect(database) as made:
            made.executescript(gzip.decompress(SCHEMA.read_bytes()).decode())
        config = self.folder / "glewlwyd.conf"
        config.write_text(CONFIG.format(port=self.port, url=self.url, log=self.folder / "log", database=database))
        self._process = subprocess.Popen([str(BINARY), "--config-file", str(config)])
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                answer = self._admin.post("/auth", json={"username": "admin", "password": "password"})
                if answer.status_code == 200:
                    break
            except httpx.HTTPError:
                pass
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise AssertionError(f"glewlwyd did not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.1)
        # Python's cookie jar keeps no cookie of the domain "localhost"
        self._admin.headers["Cookie"] = answer.headers["Set-Cookie"].partition(";")[0]
        self._set_up(redirect_uri)
        return self

    def _call(self, method: str, path: str, body: Any) -> None:
        response = self._admin.request(method, path, json=body)
        assert response.status_code == 200, (method, path, response.status_code, response.text)

    def _set_up(self, redirect_uri: str) -> None:
        backend = self._admin.get("/mod/user/database").json()
        for name in ("groups", "preferred_username"):
            backend["parameters"]["data-format"][name] = {
                "multiple": name == "groups",
                "read": True,
                "write": True,
                "profile-read": True,
                "profile-write": False,
            }
        self._call("PUT", "/mod/user/database", backend)
        self._call("PUT", "/mod/user/database/reset", None)
        self._call(
            "PUT",
            "/scope/openid",
            {
                "name": "openid",
                "display_name": "OpenID",
                "description": "OpenID",
                "password_required": True,
                "password_max_age": 0,
                "scheme": {},
            },
        )
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        parameters = {
            "iss": self.issuer,
            "jwt-type": "rsa",
            "jwt-key-size": "256",
            "key": private.decode(),
            "cert": public.decode(),
            "access-token-duration": 3600,
            "refresh-token-duration": 3600,
            "code-duration": 600,
            "refresh-token-rolling": False,
            "allow-non-oidc": False,
            "auth-type-code-enabled": True,
            "auth-type-token-enabled": False,
            "auth-type-id-token-enabled": True,
            "auth-type-none-enabled": False,
            "auth-type-password-enabled": False,
            "auth-type-client-enabled": False,
            "auth-type-device-enabled": False,
            "auth-type-refresh-enabled": False,
            "pkce-allowed": True,
            "pkce-method-plain-allowed": False,
            "pkce-required": True,
            "subject-type": "public",
            "jwks-show": True,
            "allowed-scope": ["openid"],
            "name-claim": "mandatory",
            "email-claim": "mandatory",
            "scope-claim": "no",
            "claims": [
                {"name": "groups", "user-property": "groups", "type": "string", "mandatory": True, "on-demand": False},
                {
                    "name": "preferred_username",
                    "user-property": "preferred_username",
                    "type": "string",
                    "mandatory": True,
                    "on-demand": False,
                },
            ],
        }
        plugin = {"module": "oidc", "name": "oidc", "display_name": "OIDC", "parameters": parameters}
        self._call("POST", "/mod/plugin", plugin)
        self._call(
            "POST",
            "/client",
            {
                "client_id": self.client_id,
                "name": "Tongchou",
                "confidential": True,
                "enabled": True,
                "client_secret": self.client_secret,
                "password": self.client_secret,
                "redirect_uri": [redirect_uri],
                "authorization_type": ["code"],
                "token_endpoint_auth_method": ["client_secret_basic", "client_secret_post"],
                "scope": [],
            },
        )

    def person(self, username: str, groups: list[str]) -> None:
        """Make a person there, or change their groups; they have agreed to our client."""
        body = {
            "username": username,
            "name": username.title(),
            "email": f"{username}@example.org",
            "enabled": True,
            "scope": ["openid"],
            "groups": groups,
            "preferred_username": username,
        }
        if self._admin.get(f"/user/{username}").status_code == 200:
            self._call("PUT", f"/user/{username}", body)
        else:
            self._call("POST", "/user", {**body, "password": PASSWORD})

    def stop(self) -> None:
        """End it."""
        self._admin.close()
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)


CONFIG = """
port={port}
external_url="{url}"
login_url="login.html"
api_prefix="api"
cookie_domain="localhost"
cookie_secure=0
cookie_same_site="empty"
session_expiration=3600
session_key="GLEWLWYD2_SESSION_ID"
admin_session_authentication="cookie"
profile_session_authentication="cookie"
login_api_enabled=true
admin_scope="g_admin"
profile_scope="g_profile"
log_mode="file"
log_level="DEBUG"
log_file="{log}"
add_x_frame_option_header_deny=true
user_module_path="/usr/lib/glewlwyd/user"
user_middleware_module_path="/usr/lib/glewlwyd/user_middleware"
client_module_path="/usr/lib/glewlwyd/client"
user_auth_scheme_module_path="/usr/lib/glewlwyd/scheme"
plugin_module_path="/usr/lib/glewlwyd/plugin"
use_secure_connection=false
secure_connection_key_file=""
secure_connection_pem_file=""
hash_algorithm = "SHA512"
database = {{ type = "sqlite3"; path = "{database}"; }};
static_files_path="/usr/share/glewlwyd/webapp/"
static_files_mime_types = (
  {{ extension = ".html"; mime_type = "text/html"; }},
  {{ extension = ".css"; mime_type = "text/css"; }},
  {{ extension = ".js"; mime_type = "application/javascript"; }},
  {{ extension = ".json"; mime_type = "application/json"; }}
)
"""
