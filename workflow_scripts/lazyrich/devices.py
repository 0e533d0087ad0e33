"""The one place that knows about devices: which one a job computes on, with how many threads, and how."""

import torch


def prepare(device: str, threads: int) -> torch.device:
    """Set the threads and the numerics of this process and return its device.

    ``device`` is ``auto``, ``cpu`` or ``cuda``. ``auto`` takes the CUDA device with the most free memory where there is one: on a
    cluster ``CUDA_VISIBLE_DEVICES`` may be set without a GPU, so torch is asked. TF32 stays off and algorithms deterministic.
    Raises ``RuntimeError`` if ``cuda`` is asked for and there is none.
    """
    torch.set_num_threads(threads)
    # As `use_deterministic_algorithms(True, warn_only=True)` does, without its import of a compiler, which takes longer than many a job.
    torch.set_deterministic_debug_mode("warn")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise RuntimeError(
            "the configuration says `device: cuda`, but torch finds no CUDA device; set `device: auto` or `device: cpu`"
        )
    if device == "cpu" or not available:
        return torch.device("cpu")
    free = [torch.cuda.mem_get_info(index)[0] for index in range(torch.cuda.device_count())]
    return torch.device("cuda", free.index(max(free)))


def describe(device: torch.device) -> str:
    """The device in words, for provenance and logs."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"cpu ({torch.get_num_threads()} threads)"
