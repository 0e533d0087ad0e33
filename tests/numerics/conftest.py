"""Keeps the tests on one thread, as their matrices are small, and trains once for all what several of them read."""

import pytest
import torch

from small_runs import DIGITS, dataset, run_spec, train


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Three members on digits: two share an initialisation, one has diverged."""
    folder = tmp_path_factory.mktemp("trained")
    data = dataset(folder, DIGITS)
    entries = {
        "seed-0": {},
        "labels-shuffled_seed-0": {"set": {"training.labels": "shuffled"}},
        "rate-huge_seed-1": {"seed": 1, "set": {"training.learning_rate": 1e20}},
    }
    return train(folder, data, run_spec(entries, training={"max_steps": 60})), data
