"""Become another program that ends when its parent does.

Run as a script, with nothing but the standard library, between fork and exec:

    tether.py PARENT_PID SIGNAL USER COMMAND...

The kernel sends SIGNAL once the parent has died, however it died (prctl(2), PR_SET_PDEATHSIG, Linux only). A
change of user clears that setting, so the user (empty for none) is changed first. Doing this in a program of
its own keeps Python code out of a forked copy of a process with threads.
"""

import ctypes
import os
import pwd
import signal
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1


def become_user(name: str) -> None:
    """Give up root for a user and the user's own group."""
    entry = pwd.getpwnam(name)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def end_with_parent(parent_pid: int, number: int) -> None:
    """Ask for a signal at the parent's death; end at once if it has died already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent_pid:
        sys.exit(1)


def main(arguments: list[str]) -> None:
    """Become the command. Never returns."""
    parent_pid, signal_name, user, *command = arguments
    if user:
        become_user(user)
    end_with_parent(int(parent_pid), signal.Signals[signal_name])
    os.execv(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
