"""Ends the supervisor's process groups when it dies without a chance to do so itself.

Runs as a process of its own, in its own session, reading lines from a pipe whose other end only the
supervisor holds: `+PGID` and `-PGID` add and remove a group. The end of the pipe is the supervisor's
death, however it came about; unlike PR_SET_PDEATHSIG this reaches the children's children too.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable

GRACE_S = 5.0
POLL_S = 0.05


def end_groups(groups: Iterable[int], *, grace_s: float = GRACE_S) -> None:
    """Ask every process group to end, and kill what is left after `grace_s`."""
    left = [group for group in groups if _signal(group, signal.SIGTERM)]
    deadline = time.monotonic() + grace_s
    while left and time.monotonic() < deadline:
        time.sleep(POLL_S)
        left = [group for group in left if _signal(group, 0)]
    for group in left:
        _signal(group, signal.SIGKILL)


def watch(lines: Iterable[str]) -> None:
    """Follow the supervisor until the pipe ends, then end what it left behind."""
    groups: set[int] = set()
    for line in lines:
        group = int(line[1:])
        if line.startswith("+"):
            groups.add(group)
        else:
            groups.discard(group)
    end_groups(groups)


def _signal(group: int, number: int) -> bool:
    """Return whether the group still exists."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    watch(sys.stdin)
