"""What keeps two processes from writing one store: a lock that dies with its holder, and jobs that end with their workflow."""

import fcntl
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def exclusive(path: Path, wait: float | None = None) -> Iterator[int]:
    """Hold an advisory lock on ``path`` (created if absent) and give its file descriptor. The system releases it when the process,
    and any that inherited the descriptor, ends, however it ends.

    Waits ``wait`` seconds (for ever by default) while another process holds it, then raises ``BlockingIOError``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        deadline = None if wait is None else time.monotonic() + wait
        told = False
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if deadline is not None and time.monotonic() >= deadline:
                    raise
                if not told:
                    told = True
                    print(f"waiting: another process is writing {path.parent}", file=sys.stderr, flush=True)
                time.sleep(0.2)
        yield handle.fileno()


def end_with(pid: int | None) -> None:
    """End this process soon after process ``pid`` has ended.

    A workflow that is killed with SIGKILL cannot stop its jobs; without this they would go on beside those of the next run.
    """
    if pid is None:
        return

    def watch() -> None:
        while _alive(pid):
            time.sleep(0.5)
        with suppress(OSError):  # whoever read what we print may be gone too
            print(
                f"the workflow (process {pid}) is gone: stopping here; a rerun goes on from the last checkpoint",
                file=sys.stderr,
                flush=True,
            )
        os._exit(3)

    threading.Thread(target=watch, daemon=True).start()


def _alive(pid: int) -> bool:
    """True while the process runs; a zombie that nobody has waited for yet counts as ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the second if it ends between opening and reading
        if Path("/proc/self").exists():
            return False
    try:  # no /proc (macOS)
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
