#!/usr/bin/env bash
# Install, upgrade, roll back or remove Tongchou from an unpacked offline bundle. Nothing is fetched from anywhere.
set -euo pipefail
umask 022
here=$(cd "$(dirname "$0")" && pwd)
prefix=/opt/tongchou data="" user="" python="" systemd=no act=install

usage() {
  cat <<'TEXT'
usage: install.sh [--prefix DIR] [--data DIR] [--user NAME] [--python PROGRAM] [--systemd]
       install.sh --rollback  [--prefix DIR] [--systemd]
       install.sh --uninstall [--prefix DIR] [--systemd]

  --prefix DIR     where the program goes                   (/opt/tongchou)
  --data DIR       folder of the data                       (that of the unit there is, else /var/lib/tongchou)
  --user NAME      owner of the data folder                 (that of the unit there is; with --systemd: tongchou, made
                   if missing; else who runs this)
  --python PROGRAM the Python 3.11 to use                   (python3.11, else python3)
  --systemd        write and start the unit tongchou.service, restart it after an upgrade; /usr/local/bin/tongchou
  --rollback       go back to the release that ran before this one
  --uninstall      remove the program; the data folder is never removed
TEXT
}
say() { printf 'tongchou: %s\n' "$*"; }
die() { printf 'tongchou: %s\n' "$*" >&2; exit 1; }

while [ $# -gt 0 ]; do
  case $1 in
    --prefix | --data | --user | --python)
      [ $# -ge 2 ] || die "$1 needs a value (--help)"
      printf -v "${1#--}" '%s' "$2"; shift 2 ;;
    --systemd) systemd=yes; shift ;;
    --rollback) act=rollback; shift ;;
    --uninstall) act=uninstall; shift ;;
    --help | -h) usage; exit 0 ;;
    *) die "unknown option $1 (--help)" ;;
  esac
done
unit=/etc/systemd/system/tongchou.service settings=/etc/tongchou/tongchou.env link=/usr/local/bin/tongchou
case $prefix in /) die "--prefix must not be /" ;; /*) ;; *) prefix=$PWD/$prefix ;; esac
served=no # whether the unit on this host starts what lies under this prefix
if grep -qsF "ExecStart=$prefix/current/" "$unit"; then
  served=yes
  user=${user:-$(sed -n 's/^User=//p' "$unit")}
  data=${data:-$(sed -n 's/^Environment=TONGCHOU_DATA=//p' "$unit")}
fi
data=${data:-/var/lib/tongchou}
case $prefix$data in *[[:space:]]*) die "--prefix and --data must not hold blanks: $prefix $data" ;; esac
case $data in /*) ;; *) data=$PWD/$data ;; esac
if [ "$act$systemd" = installyes ]; then
  case "$prefix/ $data/" in # the unit has ProtectHome=yes: the service sees nothing there
    /home/* | /root/* | *" /home/"* | *" /root/"*) die "a service cannot work under /home or /root: $prefix $data" ;;
  esac
fi

switch_to() { # current points at one release in one step; previous remembers the one before
  local old=""
  [ ! -L "$prefix/current" ] || old=$(readlink "$prefix/current")
  ln -s "$1" "$prefix/.current.$$" && mv -T "$prefix/.current.$$" "$prefix/current"
  if [ -n "$old" ] && [ "$old" != "$1" ]; then
    ln -s "$old" "$prefix/.previous.$$" && mv -T "$prefix/.previous.$$" "$prefix/previous"
  fi
}

restart() {
  [ "$systemd" = yes ] || return 0
  systemctl daemon-reload
  systemctl enable --quiet tongchou
  systemctl restart tongchou
  say "the service runs: journalctl -u tongchou"
}

if [ "$act" = rollback ]; then
  [ -L "$prefix/previous" ] || die "there is no release to go back to under $prefix"
  back=$(readlink "$prefix/previous")
  [ -x "$prefix/$back/bin/tongchou" ] || die "the release $prefix/$back is gone"
  switch_to "$back"
  say "back to $back"
  restart
  exit 0
fi

if [ "$act" = uninstall ]; then
  [ -L "$prefix/current" ] || die "Tongchou is not installed under $prefix"
  if [ "$systemd" = yes ] && [ -e "$unit" ]; then
    systemctl disable --now --quiet tongchou || true
    rm -f "$unit"
    systemctl daemon-reload
  fi
  [ "$(readlink "$link")" != "$prefix/bin/tongchou" ] || rm -f "$link"
  rm -rf "$prefix/releases" "$prefix/bin/tongchou" "$prefix/bin/as-service.py" "$prefix/current" "$prefix/previous"
  rmdir "$prefix/bin" "$prefix" 2>/dev/null || true
  say "removed; the data folder is left as it is"
  exit 0
fi

# --- install or upgrade ---------------------------------------------------------------------------------------------
cd "$here"
[ -f SHA256SUMS ] && [ -f requirements.lock ] || die "this is no complete bundle: SHA256SUMS or requirements.lock is missing"
sha256sum --check --strict --quiet SHA256SUMS || die "the bundle is damaged: fetch it again. Nothing was changed."
for file in wheels/*; do # nothing may lie there that is not summed up
  grep -qF "  $file" SHA256SUMS || die "$file is not in SHA256SUMS: fetch the bundle again. Nothing was changed."
done
[ -n "$python" ] || python=$(command -v python3.11 || command -v python3 || true)
[ -n "$python" ] || die "Python 3.11 is needed: install it, or name it with --python"
"$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' ||
  die "$python is $("$python" --version 2>&1); the wheels of this bundle need Python 3.11 (--python)"
"$python" -c 'import venv, ensurepip' 2>/dev/null || die "$python lacks venv or ensurepip: install python3.11-venv"

version=$(cat VERSION)
release=releases/$version-$(date -u +%Y%m%d%H%M%S)
mkdir -p "$prefix/releases" "$prefix/bin"
trap '[ -e "$prefix/$release/.complete" ] || rm -rf "${prefix:?}/$release"' EXIT
say "installing $version under $prefix"
"$python" -I -m venv "$prefix/$release"
"$prefix/$release/bin/python" -I -m pip install --quiet --disable-pip-version-check --no-index --find-links "$here/wheels" \
  --require-hashes --no-deps --requirement requirements.lock
"$prefix/$release/bin/tongchou" version >/dev/null || die "the new release does not start; the old one is untouched"
touch "$prefix/$release/.complete"

if [ "$systemd" = yes ]; then
  [ "$(id -u)" = 0 ] || die "--systemd needs root"
  command -v systemctl >/dev/null || die "--systemd needs systemd on this host"
  user=${user:-tongchou}
  served=yes
  id "$user" >/dev/null 2>&1 || useradd --system --home-dir "$data" --shell /usr/sbin/nologin "$user"
fi
if [ ! -d "$data" ]; then
  mkdir -p "$data"
  chmod 700 "$data"
  [ -z "$user" ] || chown "$user:" "$data"
fi
[ "$served" = yes ] || user="" settings=""
install -m 644 as-service.py "$prefix/bin/.as-service.$$"
mv "$prefix/bin/.as-service.$$" "$prefix/bin/as-service.py"
cat >"$prefix/bin/.tongchou.$$" <<TEXT
#!/bin/sh
# with the settings of the service, and as its user when root runs it
exec "$prefix/current/bin/python" -I "$prefix/bin/as-service.py" "$data" "$user" "$settings" "$prefix/current/bin/tongchou" "\$@"
TEXT
chmod 755 "$prefix/bin/.tongchou.$$"
mv "$prefix/bin/.tongchou.$$" "$prefix/bin/tongchou"
switch_to "$release"

# this release and the one before are kept
for old in "$prefix"/releases/*; do
  short=releases/${old##*/}
  [ "$short" = "$(readlink "$prefix/current")" ] || [ "$short" = "$(readlink "$prefix/previous" 2>/dev/null)" ] || rm -rf "$old"
done

if [ "$systemd" = yes ]; then
  mkdir -p "${settings%/*}" "${link%/*}"
  group=$(id -gn "$user")
  [ -e "$settings" ] || install -m 640 -g "$group" /dev/null "$settings"
  if [ ! -e "$link" ] || [ "$(readlink "$link")" = "$prefix/bin/tongchou" ]; then
    ln -sfn "$prefix/bin/tongchou" "$link"
  else
    say "$link is something else and is left as it is; the command is $prefix/bin/tongchou"
  fi
  sed -e "s#/opt/tongchou#$prefix#g" -e "s#TONGCHOU_DATA=/var/lib/tongchou#TONGCHOU_DATA=$data#" \
    -e "s#^User=.*#User=$user#" -e "s#^Group=.*#Group=$group#" tongchou.service >"$unit.new"
  [ "$data" = /var/lib/tongchou ] || sed -i "s#^StateDirectory=.*#ReadWritePaths=$data#; /^StateDirectoryMode=/d" "$unit.new"
  mv "$unit.new" "$unit"
  restart
else
  say "start it with: $prefix/bin/tongchou serve     (look at it with: $prefix/bin/tongchou doctor)"
fi
