"""Superposition strength: feature and sample dimensionality over training."""

from collections.abc import Iterator

import numpy as np

from lazyrich.metrics.feature_matrices import effective_weight, linear_layer
from lazyrich.metrics.member import MemberData, Row
from lazyrich.metrics.superposition import class_means, feature_dimensionality
from lazyrich.models.features import layer_inputs, penultimate_features, submodule
from lazyrich.plugins import defines, load

#: The layer whose columns stand for the coordinates of the input.
FIRST = "hidden.0"


def measure(
    member: MemberData, features: str = "none", layer: str | None = None, samples: int | None = 512
) -> Iterator[Row]:
    """At every checkpoint, means of the dimensionality D of `lazyrich.metrics.superposition.feature_dimensionality`:

    - ``sample_dimensionality``: over the first ``samples`` training samples, of what enters ``layer`` (by default the readout).
      It falls with their number, so members that are compared need equally many.
    - ``feature_dimensionality_relevant`` and ``_irrelevant``, for ``features: columns``: over the coordinates of the input on
      which the target depends (EGOP_ii > 0, in closed form) and over the others, if there are any, of the columns of the first
      layer's weight; D is taken among all columns.
    - ``feature_dimensionality_classes``, for ``features: class_means``: over the classes, of the mean of what enters ``layer``
      over those of the same samples whose label, as trained on, is the class; and ``feature_dimensionality_classes_centered``
      of these means less their own mean, (C - 1)/C under neural collapse. The means of rectified features share a direction.

    The paper does not say which vectors stand for features. Source: Goring et al., arXiv 2507.19680; Elhage et al., arXiv
    2209.10652; Henighan et al. (2023).
    """
    split = member.train.take(slice(samples))
    relevant = _relevant(member) if features == "columns" else None
    labels = split.labels if features == "class_means" else None
    if features == "class_means" and labels is None:
        raise ValueError(
            f"dataset {member.dataset.spec['dataset']!r} has no classes, so `features: class_means` has no meaning; "
            "set `features: columns`, or none for the samples alone"
        )
    inputs = split.inputs.double()
    for step in member.steps:
        model = member.model(step)
        hidden = (
            penultimate_features(model, inputs)
            if layer is None
            else layer_inputs(model, submodule(model, layer), inputs)
        )
        yield Row("sample_dimensionality", _mean(hidden.numpy()), step, layer or "")
        if relevant is not None:
            values = feature_dimensionality(effective_weight(linear_layer(model, FIRST)).T)
            for name, chosen in (("relevant", relevant), ("irrelevant", ~relevant)):
                if chosen.any():
                    yield Row(f"feature_dimensionality_{name}", float(values[chosen].mean()), step, FIRST)
        if labels is not None:
            means = class_means(hidden.numpy(), labels.numpy())
            yield Row("feature_dimensionality_classes", _mean(means), step, layer or "")
            centered = means - means.mean(axis=0)
            yield Row("feature_dimensionality_classes_centered", _mean(centered), step, layer or "")


def _mean(vectors: np.ndarray) -> float:
    return float(feature_dimensionality(vectors).mean())


def _relevant(member: MemberData) -> np.ndarray:
    """Which coordinates of the input the target depends on, (d,)."""
    generator = member.dataset.spec["generator"]
    if not defines("datasets", generator, "egop"):
        raise ValueError(
            f"the generator {generator!r} has no EGOP in closed form, so which inputs are relevant is not known; "
            "set `features: class_means`, or none for the samples alone"
        )
    return np.diagonal(load("datasets", generator).egop(member.dataset.spec)) > 0
