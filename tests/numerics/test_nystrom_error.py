"""The study of the Nystrom method: its errors against direct computation, and its rows."""

import numpy as np
import pytest
from scipy.linalg import subspace_angles

from lazyrich.metrics.entropy import effective_dimension
from lazyrich.metrics.spectral_errors import SampledSpectrum, spectral_errors, subspace_error
from small_runs import kernels, measure, member_data


def random_functions(n, r, seed=0):
    return np.random.default_rng(seed).standard_normal((n, r))


def test_the_error_of_a_span_is_the_mean_squared_sine_of_its_principal_angles():
    first, second = random_functions(20, 4), random_functions(20, 4, seed=1)
    expected = np.square(np.sin(subspace_angles(first, second))).mean()
    assert subspace_error(first, second) == pytest.approx(expected)
    assert subspace_error(first, first @ random_functions(4, 4, seed=2)) == pytest.approx(0, abs=1e-12)
    assert subspace_error(np.eye(6)[:, :3], np.eye(6)[:, 3:]) == 1
    with pytest.raises(ValueError, match=r"\(20, 4\) and \(20, 3\)"):
        subspace_error(first, second[:, :3])


def test_an_exact_spectrum_has_no_error_whatever_the_length_of_its_functions():
    exact = SampledSpectrum(np.arange(30.0, 0, -1), np.linalg.qr(random_functions(30, 5))[0])
    scaled = SampledSpectrum(exact.values, exact.functions * [3, -1, 2, 0.5, -7])
    errors = spectral_errors(exact, scaled, np.arange(10, 30), random_functions(30, 3), random_functions(30, 2, seed=3))
    assert set(errors) == {f"{name}_error" for name in (
        "eigenvalue", "spectrum", "eigenfunction", "effective_dimension", "quality", "power", "utility")}  # fmt: skip
    np.testing.assert_allclose(list(errors.values()), 0, atol=1e-12)


def test_errors_of_eigenvalues_by_hand():
    functions = np.eye(4)[:, :2]
    exact = SampledSpectrum(np.array([8.0, 4, 3, 1]), functions)
    estimate = SampledSpectrum(np.array([6.0, 5, 2]), functions)
    errors = spectral_errors(exact, estimate, np.arange(4), np.eye(4)[:, 1:3])
    assert errors["eigenvalue_error"] == pytest.approx((0.25 + 0.25) / 2)
    assert errors["spectrum_error"] == pytest.approx((2 + 1 + 1 + 1) / 16)
    ratio = effective_dimension([6, 5, 2]) / effective_dimension([8, 4, 3, 1])
    assert errors["effective_dimension_error"] == pytest.approx(abs(ratio - 1))
    assert errors["quality_error"] == 0 and "utility_error" not in errors
    with pytest.raises(ValueError, match="2 leading eigenpairs are compared, but the estimate has 1 values"):
        spectral_errors(exact, SampledSpectrum(np.ones(1), functions), np.arange(4), np.eye(4))


def test_the_rows_of_the_study(tmp_path, trained):
    run, data = trained
    members = member_data(run, data, kernels(tmp_path, run, data, rows={"probe": 16, "test": 30}))[:1]
    options = {"kernel": "ntk", "landmarks": [10, 34], "subsets": 3, "leading": 4}
    table = measure(tmp_path, {"nystrom_error": options}, members)
    rows = {(row["metric"], row["stage"], row.get("argument")): row["value"] for row in table}
    assert len(rows) == len(table)
    # 2 kernels x (exact time + 2 methods x 2 sizes x 8 numbers); no utility of an output that is zero.
    assert len(table) == 2 * (1 + 2 * 2 * 8) + 2 * (1 + 2 * 2 * 7)
    for kernel in ("ntk", "conjugate_kernel"):
        assert rows[f"{kernel}_exact_seconds", "final", None] > 0
        for method in ("nystrom", "nystrom_low_rank"):
            few, many = (rows[f"{kernel}_{method}_eigenvalue_error", "final", m] for m in (10, 34))
            assert 0 <= many < few
    # Features of 16 units span the conjugate kernel: 34 landmarks give it exactly, unless they are too few directions.
    assert rows["conjugate_kernel_nystrom_low_rank_eigenvalue_error", "final", 34] < 1e-6
    again = measure(tmp_path / "again", {"nystrom_error": options}, members)
    for row, other in zip(table, again, strict=True):
        assert row["metric"].endswith("seconds") or row == other


def test_landmarks_that_leave_nothing_to_compare_are_refused(tmp_path, trained):
    run, data = trained
    members = member_data(run, data, kernels(tmp_path, run, data, at=["initial"]))[:1]
    for landmarks in ([3, 10], [10, 21]):
        options = {"kernel": "ntk", "landmarks": landmarks, "subsets": 1, "leading": 4}
        with pytest.raises(ValueError, match=r"of 24 points: 4 eigenfunctions need .* take from 4 to 20"):
            measure(tmp_path, {"nystrom_error": options}, members)
