"""A real directory for tests: Debian's slapd in a folder of its own, on free ports, with TLS."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import ldap
import ldap.modlist
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

BINARY = shutil.which("slapd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
BASE = "dc=example,dc=org"
PEOPLE, GROUPS = f"ou=people,{BASE}", f"ou=groups,{BASE}"
ADMIN = f"cn=admin,{BASE}"
SECRET = "the directory's own password"  # of a test's directory
PASSWORD = "a password of the directory"
CONFIG = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/slapd.pid
argsfile {folder}/slapd.args
TLSCACertificateFile {folder}/cert.pem
TLSCertificateFile {folder}/cert.pem
TLSCertificateKeyFile {folder}/key.pem
database mdb
suffix "{base}"
rootdn "{admin}"
rootpw "{secret}"
directory {folder}/data
access to attrs=userPassword by anonymous auth by * none
access to * by users read by * none
"""


def missing() -> str:
    """Return why there is no directory on this machine; empty when there is one."""
    return "" if BINARY else "no slapd on this machine (apt-get install slapd)"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )


class Slapd:
    """slapd with two branches; people and groups are written through LDAP."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.tls_port = _free_port(), _free_port()
        self.uri, self.tls_uri = f"ldap://127.0.0.1:{self.port}", f"ldaps://127.0.0.1:{self.tls_port}"
        self.ca_file, self.secret_file = folder / "cert.pem", folder / "bind-password"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Slapd:
        """Start it and wait until it answers."""
        if not self.ca_file.exists():
            _certificate(self.folder)
            (self.folder / "data").mkdir()
            self.secret_file.write_text(SECRET + "\n")
            text = CONFIG.format(folder=self.folder, base=BASE, admin=ADMIN, secret=SECRET)
            (self.folder / "slapd.conf").write_text(text)
        urls = f"{self.uri}/ {self.tls_uri}/"
        with (self.folder / "log").open("ab") as out:
            self._process = subprocess.Popen(
                [str(BINARY), "-d", "256", "-f", str(self.folder / "slapd.conf"), "-h", urls], stdout=out, stderr=out
            )
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise AssertionError(f"slapd did not start: {(self.folder / 'log').read_text()[-2000:]}") from None
                time.sleep(0.05)
        return self

    def _admin(self) -> Any:
        found = ldap.initialize(self.uri)
        found.simple_bind_s(ADMIN, SECRET)
        return found

    def put(self, dn: str, **values: str | list[str]) -> None:
        """Write an entry; of the one that is there these attributes are replaced."""
        entry = {
            name: [each.encode() for each in ([value] if isinstance(value, str) else value)]
            for name, value in values.items()
        }
        admin = self._admin()
        try:
            admin.add_s(dn, ldap.modlist.addModlist(entry))
        except ldap.ALREADY_EXISTS:
            changes = [(ldap.MOD_REPLACE, each, value) for each, value in entry.items() if each != "objectClass"]
            admin.modify_s(dn, changes)
        admin.unbind_s()

    def grow(self) -> Slapd:
        """The two branches."""
        self.put(BASE, objectClass=["dcObject", "organization"], dc="example", o="Example")
        for branch in ("people", "groups"):
            self.put(f"ou={branch},{BASE}", objectClass="organizationalUnit", ou=branch)
        return self

    def person(self, name: str) -> str:
        """Write a person; return the DN."""
        dn = f"uid={name},{PEOPLE}"
        self.put(dn, objectClass="inetOrgPerson", uid=name, cn=name.title(), sn=name, userPassword=PASSWORD)
        return dn

    def group(self, name: str, *members: str) -> str:
        """Write a group; return the DN."""
        dn = f"cn={name},{GROUPS}"
        self.put(dn, objectClass="groupOfNames", cn=name, member=list(members) or [ADMIN])
        return dn

    def stop(self) -> None:
        """End it."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(10)
