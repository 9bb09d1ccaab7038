"""The offline bundle: our own wheel outside a checkout, install.sh with the network cut, upgrade, rollback, removal."""

from __future__ import annotations

import grp
import os
import pwd
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.served import free_port

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slice
CUT_OFF = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
# Inside the cut-off namespace: nothing outside is reached, the server is up, its pages and checks answer.
PROVE = r"""
set -eu
! curl -sS --max-time 3 http://192.0.2.1/ >/dev/null 2>&1
"$1/bin/tongchou" doctor --json >"$2/before.json" || [ $? -le 1 ]
"$1/bin/tongchou" serve >"$2/serve.log" 2>&1 &
server=$!
trap 'kill $server; wait $server' EXIT
for turn in $(seq 600); do curl -fsS "http://127.0.0.1:$TONGCHOU_PORT/readyz" >/dev/null 2>&1 && break; sleep 0.1; done
curl -fsS "http://127.0.0.1:$TONGCHOU_PORT/accounts/login/" >"$2/login.html"
curl -fsS "http://127.0.0.1:$TONGCHOU_PORT$(grep -o '/static/[^" ]*\.css' "$2/login.html" | head -n 1)" >"$2/sheet.css"
curl -fsS "http://127.0.0.1:$TONGCHOU_PORT$(grep -o '/static/[^" ]*\.js' "$2/login.html" | head -n 1)" >"$2/script.js"
"$1/bin/tongchou" doctor --json >"$2/doctor.json" || [ $? -le 1 ]
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our own wheel, built as the bundle builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(["bash", str(ROOT / "bin" / "wheel"), str(folder)], capture_output=True, text=True)
    if done.returncode and "setuptools" in done.stderr:
        pytest.skip(f"the package registry does not give setuptools to build a wheel with: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr[-2000:]
    (found,) = folder.glob("*.whl")
    return found


def test_the_wheel_carries_everything_the_package_reads(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    package = [path for path in (ROOT / "tongchou").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert [str(path.relative_to(ROOT)) for path in package if str(path.relative_to(ROOT)) not in inside] == []
    told = {name.partition("/data/share/doc/tongchou/")[2] for name in inside if "/data/share/doc/" in name}
    docs = ROOT / "docs"
    guide = [*docs.glob("[ez][nh]/*.md"), *docs.glob("images/[ez][nh]/*.webp")]
    assert told == {str(path.relative_to(docs)) for path in guide}


@pytest.fixture
def bundle(wheel: Path, tmp_path: Path) -> Path:
    """A bundle as bin/bundle lays it out, of our own wheel alone: the other libraries are half a gigabyte."""
    stage = tmp_path / "bundle"
    (stage / "wheels").mkdir(parents=True)
    shutil.copy(wheel, stage / "wheels")
    for name in ("install.sh", "as-service.py", "tongchou.service"):
        shutil.copy(ROOT / "deploy" / name, stage)
    lock = subprocess.run(
        [sys.executable, str(ROOT / "bin" / "lock-wheels"), str(stage / "wheels")], capture_output=True, text=True
    )
    (stage / "requirements.lock").write_text(lock.stdout)
    (stage / "VERSION").write_text("0.1.0\n")
    sum_up(stage)
    return stage


def sum_up(stage: Path) -> None:
    """Write SHA256SUMS."""
    files = sorted(str(each.relative_to(stage)) for each in stage.rglob("*") if each.is_file())
    files = [each for each in files if each != "SHA256SUMS"]
    done = subprocess.run(["sha256sum", *files], cwd=stage, capture_output=True, text=True, check=True)
    (stage / "SHA256SUMS").write_text(done.stdout)


def install(bundle: Path, *arguments: str, cut: bool = False) -> subprocess.CompletedProcess[str]:
    """Run install.sh; the libraries come from this test's own environment, as only ours is in the small bundle."""
    libraries = {"PYTHONPATH": sysconfig.get_paths()["purelib"]}
    command = [*(CUT_OFF if cut else []), "bash", str(bundle / "install.sh"), "--python", sys.executable, *arguments]
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("TONGCHOU_", "DJANGO_"))}
    return subprocess.run(command, env={**kept, **libraries}, cwd="/", capture_output=True, text=True, timeout=200)


may_cut = os.geteuid() == 0 and all(shutil.which(each) for each in ("unshare", "ip", "curl"))


def prove(prefix: Path, data: Path, out: Path, **environment: str) -> None:
    """Serve and look, with the network cut where that is possible."""
    out.mkdir()
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("TONGCHOU_", "DJANGO_"))}
    env = {**kept, "TONGCHOU_DATA": str(data), "TONGCHOU_PORT": str(free_port()), "LANG": "zh_CN.UTF-8", **environment}
    command = [*CUT_OFF, "bash", "-c", PROVE, "prove", str(prefix), str(out)]
    done = subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, timeout=200)
    log = (out / "serve.log").read_text() if (out / "serve.log").exists() else ""
    assert done.returncode == 0, f"{done.stderr}\n{log[-3000:]}"
    assert "统筹" in (out / "login.html").read_text()
    assert (out / "sheet.css").stat().st_size > 1000
    assert (out / "script.js").stat().st_size > 100
    told = (out / "doctor.json").read_text()
    assert "运行中服务的存储正常应答" in told, "the translations came with the wheel, the store answers"
    assert '"fail": 0' in told, told


@pytest.mark.skipif(not may_cut, reason="cutting the network needs root, unshare, ip and curl")
def test_it_installs_and_serves_without_a_network_is_upgraded_rolled_back_and_removed(
    bundle: Path, tmp_path: Path
) -> None:
    prefix, data = tmp_path / "prefix", tmp_path / "data"
    where = ("--prefix", str(prefix), "--data", str(data))
    done = install(bundle, *where, cut=True)
    assert done.returncode == 0, done.stdout + done.stderr
    first = (prefix / "current").readlink()
    assert (data.stat().st_mode & 0o777, data.is_dir()) == (0o700, True)
    libraries = sysconfig.get_paths()["purelib"]
    prove(prefix, data, tmp_path / "out", PYTHONPATH=libraries)
    origin = [str(prefix / "current" / "bin" / "python"), "-c", "import tongchou; print(tongchou.__file__)"]
    found = subprocess.run(origin, env={"PYTHONPATH": libraries}, cwd="/", capture_output=True, text=True).stdout
    assert found.startswith(str(prefix)), "it ran from the wheel, not from this checkout"

    (bundle / "VERSION").write_text("0.2.0\n")
    sum_up(bundle)
    assert install(bundle, *where).returncode == 0
    second = (prefix / "current").readlink()
    assert (str(second).startswith("releases/0.2.0-"), (prefix / "previous").readlink()) == (True, first)
    assert (data / "tongchou.sqlite3").exists(), "the data stays"
    assert install(bundle, "--rollback", "--prefix", str(prefix)).returncode == 0
    assert ((prefix / "current").readlink(), (prefix / "previous").readlink()) == (first, second)
    assert install(bundle, "--uninstall", "--prefix", str(prefix)).returncode == 0
    assert not prefix.exists()
    assert (data / "tongchou.sqlite3").exists(), "the data is never removed"


# Inside a mount namespace: /etc, /usr/local/bin and the folders of the installation are its own, systemctl only notes.
AS_A_SERVICE = r"""
set -eu
mount -t tmpfs own /mnt && mkdir /mnt/programs && cp -a /etc /mnt/etc && mount --bind /mnt/etc /etc
mkdir -p /etc/systemd/system && mount -t tmpfs own /usr/local/bin && mount -t tmpfs own /opt && mount -t tmpfs own /var/lib
printf '#!/bin/sh\necho "$@" >>/mnt/systemctl\n' >/mnt/programs/systemctl && chmod 755 /mnt/programs/systemctl
PATH=/mnt/programs:$PATH
bundle=$1; shift
tell() { echo "== $*"; }
installed() { bash "$bundle/install.sh" "$@" >/mnt/log 2>&1 || { cat /mnt/log >&2; exit 1; }; }
installed "$@" --systemd --user nobody --data /var/lib/elsewhere
grep -E '^(User|Group|ExecStart|Environment=TONGCHOU_DATA|ReadWritePaths)=' /etc/systemd/system/tongchou.service
stat -c '%U:%G %a' /etc/tongchou/tongchou.env /var/lib/elsewhere
readlink /usr/local/bin/tongchou
printf 'TONGCHOU_HOST="ops example"\n' >>/etc/tongchou/tongchou.env
printf '#!/bin/sh\nid -un; echo "$TONGCHOU_DATA $TONGCHOU_HOST $*"; touch "$TONGCHOU_DATA/made"\n' >/opt/tongchou/current/bin/tongchou
tell called
tongchou doctor --json
stat -c %U /var/lib/elsewhere/made
tell upgraded without the options
installed "$@"
grep as-service /opt/tongchou/bin/tongchou
tell removed
bash "$bundle/install.sh" --uninstall --systemd >/dev/null
find /opt /usr/local/bin /etc/systemd/system/tongchou.service 2>/dev/null || true
cat /mnt/systemctl
"""


@pytest.mark.skipif(not may_cut, reason="a mount namespace needs root and unshare")
def test_as_a_service_the_command_has_the_settings_and_the_user_of_the_unit(bundle: Path) -> None:
    libraries = {"PYTHONPATH": sysconfig.get_paths()["purelib"]}
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("TONGCHOU_", "DJANGO_"))}
    command = ["unshare", "--mount", "bash", "-c", AS_A_SERVICE, "test", str(bundle), "--python", sys.executable]
    done = subprocess.run(command, env={**kept, **libraries}, cwd="/", capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    group = grp.getgrgid(pwd.getpwnam("nobody").pw_gid).gr_name
    call = '"/opt/tongchou/bin/as-service.py" "/var/lib/elsewhere" "nobody" "/etc/tongchou/tongchou.env"'
    assert done.stdout.splitlines() == [
        "User=nobody",
        f"Group={group}",
        "ReadWritePaths=/var/lib/elsewhere",
        "Environment=TONGCHOU_DATA=/var/lib/elsewhere",
        "ExecStart=/opt/tongchou/current/bin/tongchou serve",
        f"root:{group} 640",
        f"nobody:{group} 700",
        "/opt/tongchou/bin/tongchou",
        "== called",
        "nobody",
        "/var/lib/elsewhere ops example doctor --json",
        "nobody",
        "== upgraded without the options",
        f'exec "/opt/tongchou/current/bin/python" -I {call} "/opt/tongchou/current/bin/tongchou" "$@"',
        "== removed",
        "/opt",
        "/usr/local/bin",
        "daemon-reload",
        "enable --quiet tongchou",
        "restart tongchou",
        "disable --now --quiet tongchou",
        "daemon-reload",
    ]


def test_a_damaged_or_enlarged_bundle_changes_nothing(bundle: Path, tmp_path: Path) -> None:
    where = ("--prefix", str(tmp_path / "prefix"), "--data", str(tmp_path / "data"))
    (bundle / "wheels" / "evil-1.0-py3-none-any.whl").write_bytes(b"x")
    done = install(bundle, *where)
    assert done.returncode == 1
    assert "evil-1.0" in done.stderr
    (bundle / "wheels" / "evil-1.0-py3-none-any.whl").unlink()
    with next((bundle / "wheels").glob("*.whl")).open("ab") as file:
        file.write(b"x")
    done = install(bundle, *where)
    assert done.returncode == 1
    assert "damaged" in done.stderr
    sum_up(bundle)  # whoever changes a wheel may change the sums; the lock still knows the wheel
    done = install(bundle, *where)
    assert done.returncode != 0
    assert "hash" in (done.stdout + done.stderr).lower()
    assert list((tmp_path / "prefix" / "releases").iterdir()) == [], "half a release is taken away again"
    assert not (tmp_path / "prefix" / "current").is_symlink()
    assert not (tmp_path / "data").exists()


def test_odd_options_are_refused(bundle: Path) -> None:
    for arguments, word in (
        (["--prefix"], "needs a value"),
        (["--nonsense"], "unknown option"),
        (["--prefix", "/"], "must not be /"),
        (["--systemd", "--data", "/home/ops/data"], "under /home"),
    ):
        done = install(bundle, *arguments)
        assert (done.returncode, word in done.stderr) == (1, True), done.stderr
    done = install(bundle, "--rollback", "--prefix", "/nowhere/at/all")
    assert "no release to go back to" in done.stderr


@pytest.mark.soak
@pytest.mark.skipif(not may_cut, reason="cutting the network needs root, unshare, ip and curl")
def test_the_whole_bundle_installs_and_serves_without_a_network(tmp_path: Path) -> None:
    """Minutes and two gigabytes of disk: every library from the archive, nothing of this environment."""
    made = subprocess.run(["bash", str(ROOT / "bin" / "bundle"), str(tmp_path)], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    (archive,) = tmp_path.glob("*.tar.gz")
    assert re.search(r"\.tar\.gz \(\d+", made.stdout)
    subprocess.run(["tar", "-xzf", str(archive), "-C", str(tmp_path)], check=True)
    (stage,) = [each for each in tmp_path.iterdir() if each.is_dir()]
    prefix, data = tmp_path / "prefix", tmp_path / "data"
    kept = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    command = [
        *CUT_OFF,
        "bash",
        str(stage / "install.sh"),
        "--python",
        getattr(sys, "_base_executable", sys.executable),
    ]
    done = subprocess.run(
        [*command, "--prefix", str(prefix), "--data", str(data)], env=kept, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    prove(prefix, data, tmp_path / "out")
