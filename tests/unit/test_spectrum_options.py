"""Options of a spectrum that its method needs or does not read."""

from pathlib import Path

import pytest

from lazyrich.configuration import load
from small_configuration import MEMBERS, PAPER, edit, problems


@pytest.mark.parametrize(
    ("options", "fragment"),
    [
        ("method: lanczos", "ntk_spectrum.k: method 'lanczos' finds leading eigenpairs; say how many"),
        ("method: randomized", "ntk_spectrum.k: method 'randomized' finds leading eigenpairs"),
        ("method: nystrom", "ntk_spectrum.landmarks: method 'nystrom' needs a number of landmarks"),
        (
            "landmarks: 4",
            "ntk_spectrum.landmarks: this is read only with `method: nystrom`, not with 'auto'; remove it",
        ),
        ("method: arpack", "ntk_spectrum.method: 'arpack' is not allowed; allowed: auto, dense, lanczos"),
        ("method: lanczos, k: 0", "ntk_spectrum.k: 0 is not allowed; allowed: an integer of at least 1 or null"),
    ],
)
def test_mistakes(root: Path, options: str, fragment: str) -> None:
    edit(root, PAPER, "{kernel: ntk}\n    metrics", f"{{kernel: ntk, {options}}}\n    metrics")
    (problem,) = problems(root)
    assert fragment in problem


@pytest.mark.parametrize(
    "options", ["k: 3", "method: lanczos, k: 3", "method: nystrom, landmarks: 4", "method: dense, vectors: 2"]
)
def test_what_fits_together(root: Path, options: str) -> None:
    edit(root, PAPER, "{kernel: ntk}\n    metrics", f"{{kernel: ntk, {options}}}\n    metrics")
    load(root, None, MEMBERS)


def test_a_claim_may_select_by_argument(root: Path) -> None:
    edit(root, PAPER, "stage: final, labels: true}", "stage: final, labels: true, argument: 64}")
    load(root, None, MEMBERS)
