"""Runs and members out of a sweep: names, values, and what stays as it was when a sweep grows."""

import pytest

from lazyrich.sweeps import get, members, points, put, runs, text

SPEC = {
    "dataset": "a",
    "model": {"width": 16, "gamma": 1},
    "training": {"labels": "true", "train_size": 128, "evaluate": {"first": 1}},
    "seeds": 2,
    "sweep": {"runs": {}, "members": {}},
}


def swept(runs_axes=None, members_axes=None, **changes):
    return {**SPEC, **changes, "sweep": {"runs": runs_axes or {}, "members": members_axes or {}}}


def test_get_and_put_reach_nested_keys_and_leave_the_original():
    assert get(SPEC, "training.evaluate.first") == 1
    changed = put(SPEC, {"training.evaluate.first": 5, "model.gamma": 0.1})
    assert (changed["training"]["evaluate"]["first"], changed["model"]["gamma"]) == (5, 0.1)
    assert SPEC["training"]["evaluate"]["first"] == 1 and SPEC["model"]["gamma"] == 1
    with pytest.raises(KeyError):
        get(SPEC, "model.nothing")


def test_axes_combine_by_product_and_lists_are_zipped_within_one():
    axes = {"size": {"model.width": [1, 2], "training.train_size": [10, 20]}, "gamma": {"model.gamma": [0.1, 1]}}
    found = list(points(axes))
    assert [values for values, _ in found] == [
        {"size": 1, "gamma": 0.1}, {"size": 1, "gamma": 1}, {"size": 2, "gamma": 0.1}, {"size": 2, "gamma": 1},
    ]  # fmt: skip
    assert found[2][1] == {"model.width": 2, "training.train_size": 20, "model.gamma": 0.1}
    with pytest.raises(ValueError):
        list(points({"size": {"model.width": [1, 2], "training.train_size": [10]}}))


def test_no_axes_are_one_run_and_one_member_a_seed():
    assert list(runs("e", SPEC)) == ["base"]
    assert members(SPEC) == {
        "seed-0": {"axes": {}, "seed": 0, "set": {}},
        "seed-1": {"axes": {}, "seed": 1, "set": {}},
    }


def test_runs_are_named_by_what_differs_from_the_base():
    found = runs("e", swept({"width": {"model.width": [16, 64]}, "gamma": {"model.gamma": [1.0, 0.1]}}))
    assert list(found) == ["base", "gamma-0.1", "width-64", "width-64_gamma-0.1"]
    run = found["width-64_gamma-0.1"]
    assert run.axes == {"width": 64, "gamma": 0.1}
    assert run.spec["model"] == {"width": 64, "gamma": 0.1} and run.spec["training"] == SPEC["training"]
    assert found["base"].axes == {"width": 16, "gamma": 1.0}


def test_a_run_whose_second_key_differs_is_not_the_base():
    found = runs("e", swept({"width": {"model.width": [16], "model.gamma": [0.5]}}))
    assert list(found) == ["width-16"]


def test_members_say_what_they_set_and_which_values_their_axes_have():
    found = members(swept(members_axes={"labels": {"training.labels": ["true", "shuffled"]}}))
    assert list(found) == ["seed-0", "seed-1", "labels-shuffled_seed-0", "labels-shuffled_seed-1"]
    assert found["seed-1"] == {"axes": {"labels": "true"}, "seed": 1, "set": {}}
    assert found["labels-shuffled_seed-0"]["set"] == {"training.labels": "shuffled"}


def test_a_new_axis_with_the_base_value_and_more_seeds_keep_the_old_names_and_settings():
    def settings(spec):
        return {name: (entry["seed"], entry["set"]) for name, entry in members(spec).items()}

    old = settings(swept(members_axes={"labels": {"training.labels": ["true", "shuffled"]}}))
    axes = {"labels": {"training.labels": ["true", "shuffled"]}, "gamma": {"model.gamma": [1, 0.1]}}
    new = settings(swept(members_axes=axes, seeds=3))
    assert old.items() <= new.items() and len(new) == 12
    assert runs("e", swept({"gamma": {"model.gamma": [1, 2]}}))["base"].spec["model"] == SPEC["model"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, "true"), (0.1, "0.1"), (1e-3, "0.001"), (128, "128"), (2.0, "2"), ("cnn", "cnn"), (1e-7, "1e-07")],
)
def test_values_as_they_stand_in_names(value, expected):
    assert text(value) == expected
