"""Errors and accuracies over training, relative to what predicting the mean would give."""

import math
from collections.abc import Iterator

from lazyrich.metrics.member import MemberData, Row


def measure(member: MemberData) -> Iterator[Row]:
    """``train_error`` and ``test_error``: for MSE, the mean squared error over the variance of the test targets (averaged over
    outputs), so that 1 is the error of predicting their mean; for cross-entropy, the loss in nats. ``train_accuracy`` and
    ``test_accuracy``, in [0, 1], for classification.
    """
    history = member.history
    scale = (
        float(member.split("test").targets.double().var(dim=0, correction=0).mean())
        if member.training_spec["loss"] == "mse"
        else 1.0
    )
    for index, step in enumerate(history["step"].tolist()):
        for name, column, unit in (
            ("train_error", "train_loss", scale),
            ("test_error", "test_loss", scale),
            ("train_accuracy", "train_accuracy", 1.0),
            ("test_accuracy", "test_accuracy", 1.0),
        ):
            value = float(history[column][index]) / unit
            if not (math.isnan(value) and column.endswith("accuracy")):
                yield Row(name, value, step)
