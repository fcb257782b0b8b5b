"""Runs a program in another user's name: PostgreSQL refuses to run as root.

The way there leads through this file once more as a script, so that what happens between fork and exec
happens in a process without threads. It needs only the standard library, and fails with one line.

Where a parent folder closes the way to that user (a project under /root, a checkout in a mktemp -d), nothing
is opened to everybody: the program keeps root's right to pass, as an ambient capability. That is the one to
read and search anything or, where a container withholds it (as Docker does by default), the stronger one to
write too. Where the way is open it keeps none.
"""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

_OVERRIDE, _READ_SEARCH, _SETPCAP = 1, 2, 8  # CAP_DAC_OVERRIDE and so on of linux/capability.h
_PR_SET_KEEPCAPS, _PR_SET_SECUREBITS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 8, 28, 47, 2
_SECBIT_NO_SETUID_FIXUP = 4
_CAPABILITY_VERSION_3 = 0x20080522
_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}  # the caller's may hold passwords


def run_as(
    uid: int, gid: int, command: list[str], *, reach: list[Path], log: int, lock: int, stdin: str, detach: bool
) -> bool:
    """Runs ``command`` as ``uid`` (as oneself, unless root) in a session of its own: Ctrl-C spares it.

    ``reach`` are the folders that it must be able to read; ``lock`` is a descriptor that it and its children
    hold open as long as they live. With ``detach`` it is left running, an orphan that nobody has to wait for.
    False: it failed; ``log`` says why.
    """
    folders = os.pathsep.join(map(str, reach))
    script = [sys.executable, "-I", "-S", __file__, f"{uid}", f"{gid}", "detach" if detach else "wait", folders]
    done = subprocess.run(  # noqa: S603  the command is ours
        script + command,
        input=stdin.encode(),
        stdout=subprocess.DEVNULL,
        stderr=log,
        cwd="/",
        start_new_session=True,
        pass_fds=(lock,),
        check=False,
    )
    return done.returncode == 0


def _become(uid: int, gid: int, folders: list[str]) -> None:
    linux = ctypes.CDLL(None) if sys.platform == "linux" else None
    if linux:
        linux.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    try:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    except OSError as error:
        raise PermissionError(f"this root may not become uid {uid}: {error.strerror}") from error
    if linux and _closed(folders):
        _ = _keep(linux, _READ_SEARCH) or _keep(linux, _OVERRIDE)
    if closed := _closed(folders):
        raise PermissionError(f"{closed[0]} is closed to uid {uid}, and this root may not pass CAP_DAC_READ_SEARCH on")


def _closed(folders: list[str]) -> list[str]:
    """Tried by use: access(2) would leave the capabilities out of account."""
    closed = []
    for folder in folders:
        try:
            os.listdir(f"{folder}/.")  # noqa: PTH208
        except PermissionError:
            closed.append(folder)
    return closed


def _keep(linux: ctypes.CDLL, capability: int) -> bool:
    """Keeps this one across exec, where what is not ambient is lost. The bit makes access(2) count it."""
    return (
        _hold(linux, capability, _SETPCAP)
        and linux.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0) == 0
        and _hold(linux, capability)
        and linux.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0) == 0
    )


def _hold(linux: ctypes.CDLL, *capabilities: int) -> bool:
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    effective_permitted_inheritable = [sum(1 << each for each in capabilities)] * 3
    return bool(linux.capset(header, (ctypes.c_uint32 * 6)(*effective_permitted_inheritable)) == 0)


def _main(uid: str, gid: str, mode: str, folders: str, *command: str) -> None:
    try:
        if os.geteuid() == 0:
            _become(int(uid), int(gid), folders.split(os.pathsep))
        if mode == "detach" and os.fork():
            os._exit(0)
        os.execve(command[0], command, _ENVIRONMENT)  # noqa: S606
    except OSError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    _main(*sys.argv[1:])
