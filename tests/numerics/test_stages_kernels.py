"""The stages kernel and spectrum on tiny runs: tiles, what members share, and what a kill costs."""

import json

import numpy as np
import pytest
import torch
import zarr

from lazyrich.kernels.empirical_ntk_reference import empirical_ntk
from lazyrich.kernels.features import conjugate_kernel
from lazyrich.kernels.wanted import WantedKernels
from lazyrich.spectra.eigen import eigendecompose
from small_runs import (
    KERNEL,
    Killed,
    digests,
    kernels,
    spectra,
)


def test_kernels_equal_a_direct_computation_whatever_the_tiles(tmp_path, trained):
    run, data = trained
    rows, columns = {"probe": 10, "test": 5}, {"train": 12, "probe": 3}
    x = torch.cat([data.split(0, "probe").inputs[:10], data.split(0, "test").inputs[:5]]).double()
    z = torch.cat([data.split(0, "train").inputs[:12], data.split(0, "probe").inputs[:3]]).double()
    for number, shard in enumerate((1000, 8, 5)):
        square = kernels(tmp_path, run, data, f"square{number}", rows=rows, shard=shard)
        for stage, step in (("initial", 0), ("final", 60)):
            found = square.matrix("seed-0", stage)
            expected = empirical_ntk(run.model("seed-0", step).double(), x).numpy()
            np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13 * np.abs(expected).max())
            assert np.array_equal(found, found.T)
        other = kernels(tmp_path, run, data, f"other{number}", rows=rows, columns=columns, shard=shard, at=["initial"])
        expected = empirical_ntk(run.model("seed-0", 0).double(), x, z).numpy()
        np.testing.assert_allclose(
            other.matrix("seed-0", "initial"), expected, rtol=1e-11, atol=1e-13 * np.abs(expected).max()
        )
    # Parts of it, by split.
    part = other.matrix("seed-0", "initial", {"test": 4}, {"probe": 2})
    assert np.array_equal(part, other.matrix("seed-0", "initial")[10:14, 12:14])
    with pytest.raises(KeyError, match=r"holds {'probe': 10, 'test': 5}, not 8 samples of 'test'"):
        other.matrix("seed-0", "initial", {"test": 8})
    with pytest.raises(KeyError, match="not 1 samples of 'train'"):
        other.matrix("seed-0", "initial", {"train": 1})


def test_conjugate_kernels_are_gram_matrices_of_the_features(tmp_path, trained):
    run, data = trained
    stored = kernels(tmp_path, run, data, "ck", object="conjugate_kernel", shard=10)
    x = data.split(0, "probe").inputs.double()
    model = run.model("seed-0", 60).double()
    features = torch.relu(model.hidden[1](torch.relu(model.hidden[0](x.flatten(1))))).detach().numpy()
    np.testing.assert_allclose(stored.matrix("seed-0", "final"), features @ features.T, rtol=1e-11)


def test_members_share_the_kernel_of_a_shared_initialisation_and_diverged_ones_have_none(tmp_path, trained):
    run, data = trained
    assert run.status("rate-huge_seed-1") == "diverged"
    stored = kernels(tmp_path, run, data)
    assert list(stored.manifest["units"]) == ["seed-0.initial", "seed-0.final", "labels-shuffled_seed-0.final"]
    assert stored.unit("labels-shuffled_seed-0", "initial") == "seed-0.initial"
    assert (
        stored.stages("labels-shuffled_seed-0") == {"initial": 0, "final": 60}
        and stored.stages("rate-huge_seed-1") == {}
    )
    assert not np.array_equal(stored.matrix("seed-0", "final"), stored.matrix("labels-shuffled_seed-0", "final"))
    found = spectra(tmp_path, stored)
    assert list(found.manifest["units"]) == list(stored.manifest["units"])
    assert np.array_equal(
        found.spectrum("seed-0", "initial").values, found.spectrum("labels-shuffled_seed-0", "initial").values
    )


def test_more_checkpoints_keep_the_kernels_that_exist(tmp_path, trained):
    run, data = trained
    before = kernels(tmp_path, run, data, at=["initial"])
    after = kernels(tmp_path, run, data, at=["final", "initial"])
    assert digests(before).items() < digests(after).items()
    other = kernels(tmp_path, run, data, at=["initial"], dtype="float32")
    assert not set(map(str, digests(before).values())) & set(map(str, digests(other).values()))


def test_kernels_at_every_checkpoint_and_at_any_of_them(tmp_path, trained):
    run, data = trained
    assert run.steps("seed-0") == [0, 1, 2, 5, 10, 22, 46, 60]
    every = kernels(tmp_path, run, data, "every", at=["all"], object="conjugate_kernel", rows={"probe": 6})
    stages = {"initial": 0, **{f"step-{step}": step for step in run.steps("seed-0")[1:-1]}, "final": 60}
    assert every.stages("seed-0") == stages and list(every.stages("seed-0")) == list(stages)
    x = data.split(0, "probe").inputs[:6].double()
    for stage, step in stages.items():
        expected = conjugate_kernel(run.model("seed-0", step).double(), x).numpy()
        np.testing.assert_allclose(every.matrix("seed-0", stage), expected, rtol=1e-11)
    # By its step, too, a kernel is found, and asking in other words computes nothing anew.
    assert every.unit("seed-0", "step-60") == every.unit("seed-0", "final") == "seed-0.final"
    some = kernels(tmp_path, run, data, "every", at=[10, "initial", 60], object="conjugate_kernel", rows={"probe": 6})
    assert some.stages("seed-0") == {"step-10": 10, "initial": 0, "final": 60}
    assert digests(some).items() < digests(every).items()
    with pytest.raises(KeyError, match="no kernel of seed-0 at 'step-5'; there are: step-10, initial, final"):
        some.unit("seed-0", "step-5")


def test_a_step_without_checkpoint_is_refused_and_one_beyond_the_end_is_left_out(tmp_path, trained):
    run, data = trained
    assert run.step("seed-0", "step-22") == 22
    with pytest.raises(ValueError, match=r"seed-0 has no checkpoint at step 11; it has \[0, 1, 2, 5, 10, 22, 46, 60\]"):
        kernels(tmp_path, run, data, at=[11])
    with pytest.raises(ValueError, match="there is no stage 'middle'; give initial, final or step-<number>"):
        run.step("seed-0", "middle")
    wanted = WantedKernels({**KERNEL, "at": ["final", 100]}, "code", run, data)
    assert [entry["stage"] for entry in wanted.entries] == ["final"] * 2
    assert wanted.left_out == ["no kernel at step 100 of 2 of 2 members, whose training ended before"]


def test_how_a_kernel_is_computed_is_no_part_of_what_it_is(tmp_path, trained):
    """Not the number of jobs, nor a layer that is not given; another layer is another kernel."""
    run, data = trained

    def prints(**options: object) -> list[str]:
        return [kernel.fingerprint for kernel in WantedKernels({**KERNEL, **options}, "code", run, data).units]

    assert prints() == prints(band=8, layer=None) == prints(band=None)
    assert not set(prints()) & set(prints(layer="hidden.0"))
    assert not set(prints(layer="hidden.1")) & set(prints(layer="hidden.0"))


def test_a_killed_kernel_goes_on_with_the_tiles_that_are_missing(tmp_path, trained, monkeypatch):
    from lazyrich.kernels.objects import empirical_ntk as module

    run, data = trained
    reference = kernels(tmp_path, run, data, "whole", shard=8)
    compute, calls = module.compute, []

    def counted(*arguments):
        calls.append(arguments)
        if len(calls) == 5:
            raise Killed
        return compute(*arguments)

    monkeypatch.setattr(module, "compute", counted)
    with pytest.raises(Killed):
        kernels(tmp_path, run, data, "ntk", shard=8)
    half = zarr.open_array(tmp_path / "kernels" / "ntk.zarr" / "seed-0.initial" / "kernel", mode="r")[...]
    # Tiles (0, 0), (1, 0), (1, 1), (2, 0) and the mirrored ones are there; the others cannot be taken for zeros.
    assert np.isfinite(half[:16, :16]).all() and np.isfinite(half[16:, :8]).all() and np.isfinite(half[:8, 16:]).all()
    assert np.isnan(half[8:16, 16:]).all() and np.isnan(half[16:, 8:]).all()
    calls.append(None)
    done = len(calls)
    stored = kernels(tmp_path, run, data, "ntk", shard=8)
    assert len(calls) - done == 3 * 6 - 4
    for name, unit in reference.manifest["units"].items():
        assert stored.manifest["units"][name]["arrays"] == unit["arrays"]


def test_a_lost_tile_alone_is_computed_again(tmp_path, trained):
    """A unit that was begun again, as after a kill: the mirrored half of an existing tile is not computed but copied."""
    run, data = trained
    stored = kernels(tmp_path, run, data, shard=8)
    unit = tmp_path / "kernels" / "ntk.zarr" / "seed-0.final"
    expected = stored.matrix("seed-0", "final")
    (unit / "kernel" / "c" / "0" / "2").unlink()
    (unit / "kernel" / "c" / "2" / "1").unlink()
    attributes = json.loads((unit / "zarr.json").read_text())
    attributes["attributes"]["complete"] = False
    (unit / "zarr.json").write_text(json.dumps(attributes))
    again = kernels(tmp_path, run, data, shard=8)
    assert np.array_equal(again.matrix("seed-0", "final"), expected)


def test_a_tile_that_is_not_finite_is_refused(tmp_path, trained, monkeypatch):
    from lazyrich.kernels.objects import empirical_ntk as module

    run, data = trained
    monkeypatch.setattr(
        module, "compute", lambda model, rows, columns, options: np.full((len(rows), len(rows)), np.inf)
    )
    with pytest.raises(
        ArithmeticError,
        match=r"kernel seed-0\.initial, tile \(0, 0\): values that are not finite; try `dtype: float64`",
    ):
        kernels(tmp_path, run, data)


# -- spectra ---------------------------------------------------------------------------------------------------------------


def test_spectra_keep_all_values_and_the_vectors_asked_for(tmp_path, trained):
    run, data = trained
    stored = kernels(tmp_path, run, data)
    expected = eigendecompose(stored.matrix("seed-0", "final"))
    for number, vectors in enumerate((None, 5, 0)):
        found = spectra(tmp_path, stored, f"s{number}", vectors=vectors).spectrum("seed-0", "final")
        assert np.array_equal(found.values, expected.values)
        assert np.array_equal(found.vectors, expected.vectors[:, :vectors])


def test_spectra_of_changed_kernels_alone_are_computed_again(tmp_path, trained):
    run, data = trained
    before = spectra(tmp_path, kernels(tmp_path, run, data, at=["initial"]))
    after = spectra(tmp_path, kernels(tmp_path, run, data))
    assert digests(before).items() < digests(after).items()
