"""Which kernels and spectra a metric reads: those that its options name.

Only the standard library is imported here: the plan makes what is named an input of the job, and the job makes it part of
the fingerprint of what it measures.
"""

from collections.abc import Mapping
from typing import Any

#: Kind of artifact -> the option that names one of them, and the option that names several in a list.
OPTIONS = {"kernel": ("kernel", "kernels"), "spectrum": ("spectrum", "spectra")}


def named(options: Mapping[str, Any], kind: str) -> list[str]:
    """The names of ``kind`` ("kernel" or "spectrum") that a metric's options have, each once, in the order given.

    An option of another name, or with another content, names nothing, whatever it says.
    """
    one, several = OPTIONS[kind]
    found = [options[one]] if options.get(one) else []
    return list(dict.fromkeys([*found, *(options.get(several) or ())]))
