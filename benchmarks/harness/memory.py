"""Peak resident memory of this process while a function runs (Linux)."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")

# proc(5): writing 5 sets the high-water mark of the resident set back to its present size.
RESET_HIGH_WATER_MARK = "5"


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {field}; peak memory can be measured on Linux only")


def peak_bytes(function: Callable[[], Result]) -> tuple[Result, int]:
    """The function's result, and by how much resident memory rose above its level before the call, at most.

    What earlier calls freed is handed back to the system first, so that it is counted again where it is used again.
    """
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text(RESET_HIGH_WATER_MARK)
    before = _status("VmRSS")
    result = function()
    return result, max(0, _status("VmHWM") - before)
