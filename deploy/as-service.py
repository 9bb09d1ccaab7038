"""Run the installed program as its service runs: with the service's settings and, when root asks, as its user.

install.sh puts this beside the command `tongchou`, which calls it as
    python -I as-service.py DATA USER ENVIRONMENT_FILE PROGRAM [ARGUMENT...]
Without a unit USER and ENVIRONMENT_FILE are empty; root then runs as the owner of the data folder. A TONGCHOU_ variable
that the caller has set wins over the file. The file is read as systemd reads an EnvironmentFile, and never by a shell:
its values are text, whatever stands in them.
"""

import os
import pwd
import re
import sys

LINE = re.compile(r"[ \t\r\n]*(?:[#;][^\r\n]*|([^\r\n][^=\r\n]*)?(=)?)")
SINGLE = re.compile(r"[ \t]*'([^']*)'?")
DOUBLE = re.compile(r'[ \t]*"((?:[^"\\]|\\.)*)"?', re.DOTALL)
PLAIN = re.compile(r"[ \t]*((?:[^\\\r\n]|\\.|\\\Z)*)", re.DOTALL)
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def parse(text: str) -> dict[str, str]:
    """Return the variables of an EnvironmentFile: `#` and `;` lines are comments, quotes of both kinds, `\\` escapes."""
    found, place = {}, 0
    while place < len(text):
        line = LINE.match(text, place)
        place = max(line.end(), place + 1)
        if line[2] is None:
            continue  # a comment, or a line without "="
        value, place = _value(text, line.end())
        if NAME.fullmatch(line[1].strip()):
            found[line[1].strip()] = value
    return found


def _value(text: str, place: int) -> tuple[str, int]:
    """Return the value that begins here and where it ends: quoted parts in a row, then what is not quoted."""
    parts = []
    while True:
        if quoted := SINGLE.match(text, place):
            parts.append(quoted[1])
        elif quoted := DOUBLE.match(text, place):
            parts.append(re.sub(r'\\(["\\`$\n])', lambda each: each[1].strip("\n"), quoted[1]))
        else:
            break
        place = quoted.end()
    plain = PLAIN.match(text, place)
    pieces = re.findall(r"\\.?|[^\\]", plain[1], re.DOTALL)
    while pieces and pieces[-1] in (" ", "\t"):
        pieces.pop()
    parts.extend(each if len(each) == 1 and each != "\\" else each[1:].strip("\r\n") for each in pieces)
    return "".join(parts), plain.end()


def environment(data: str, path: str) -> dict[bytes, bytes]:
    """Return the environment of the program; exit 1 when the file is there and this user may not read it."""
    read = {}
    try:
        if path:
            with open(path, "rb") as file:  # bytes of any encoding go through latin-1 unharmed
                read = parse(file.read().decode("latin-1"))
    except FileNotFoundError:
        pass  # the unit goes without it, too
    except OSError as error:
        sys.exit(f"tongchou: {path} cannot be read ({error.strerror}): run this as root (sudo), or as the service's user")
    kept = {name: value for name, value in os.environb.items() if name.startswith(b"TONGCHOU_")}
    told = {name.encode("latin-1"): value.encode("latin-1") for name, value in read.items()}
    return {b"TONGCHOU_DATA": os.fsencode(data), **os.environb, **told, **kept}


def become(user: str, env: dict[bytes, bytes]) -> None:
    """Give root's rights up for the service's user, so that no file of root is left in the data folder."""
    try:
        account = pwd.getpwnam(user) if user else pwd.getpwuid(os.stat(env[b"TONGCHOU_DATA"]).st_uid)
    except FileNotFoundError:
        return  # no data folder yet: it will be root's own
    except KeyError:
        sys.exit(f"tongchou: the user {user or 'that owns the data folder'} does not exist on this host")
    if account.pw_uid == 0:
        return
    os.initgroups(account.pw_name, account.pw_gid)
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    os.umask(0o077)  # the unit's UMask
    env.update({b"HOME": os.fsencode(account.pw_dir), b"USER": os.fsencode(account.pw_name)})
    env[b"LOGNAME"] = env[b"USER"]


def main(data: str, user: str, path: str, *command: str) -> None:
    """Become the program."""
    env = environment(data, path)
    if os.geteuid() == 0:
        become(user, env)
    os.execve(command[0], list(command), env)


if __name__ == "__main__":
    main(*sys.argv[1:])
