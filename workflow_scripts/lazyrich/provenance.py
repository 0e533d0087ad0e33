"""Where a result comes from: a small stamp that every computed piece carries."""

import platform
import subprocess
import time
from functools import cache
from importlib.metadata import version
from pathlib import Path

#: Packages whose version can change a number.
PACKAGES = ("numpy", "scipy", "torch", "zarr", "scikit-learn")


def stamp(device: str, started: float) -> dict[str, object]:
    """Git state, versions, host, device and wall time (seconds since ``started``, a ``time.time()``)."""
    return {
        "git": git_state(),
        "python": platform.python_version(),
        "packages": versions(),
        "host": platform.node(),
        "processor": platform.machine(),
        "device": device,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "wall_seconds": round(time.time() - started, 2),
    }


@cache
def versions() -> dict[str, str]:
    """The version of each of `PACKAGES`."""
    return {name: version(name) for name in PACKAGES}


@cache
def git_state() -> str:
    """``<commit>``, with ``-dirty`` behind it if tracked files differ from it; ``unknown`` outside a git checkout."""
    here = Path(__file__).parent
    try:
        out = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            cwd=here, capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return out.stdout.strip()
