"""Losses, optimisers and learning-rate schedules by name."""

import math

import torch
from torch import Tensor, nn

from lazyrich.datasets.reading import Split
from lazyrich.models.parametrization import learning_rate_scale
from lazyrich.training.samples import Batch
from lazyrich.training.speed_limited import SpeedLimitedSGD, speed_groups

#: Optimisers that are gradient descent: their steps follow the size of the gradient.
DESCENT = ("sgd", "momentum")
#: Optimisers that treat every number by itself, and so networks that lie in one tensor as if each were alone.
ELEMENTWISE = (*DESCENT, "adam")


def sample_losses(name: str, outputs: Tensor, targets: Tensor, labels: Tensor | None) -> Tensor:
    """The loss of each sample, shape (n,): ``mse``, the squared error averaged over outputs, or ``cross_entropy`` (nats)."""
    if name == "mse":
        return (outputs - targets).square().mean(dim=1)
    return nn.functional.cross_entropy(outputs, _needed(labels), reduction="none")


def output_gradient(name: str, outputs: Tensor, batch: Batch) -> Tensor:
    """The gradient of each network's mean loss on its batch at its outputs, both (b, B, outputs).

    With f less the batch's offsets: 2 (f - y) / (B outputs) of ``mse``, (softmax(f) - onehot(label)) / B of ``cross_entropy``.
    """
    centred = outputs if batch.offsets is None else outputs - batch.offsets
    if name == "mse":
        return (centred - batch.targets).mul_(2 / outputs[0].numel())
    classes = torch.arange(outputs.shape[-1], device=outputs.device)
    return (centred.softmax(dim=-1) - (_needed(batch.labels)[..., None] == classes).to(outputs)) / outputs.shape[1]


def _needed(labels: Tensor | None) -> Tensor:
    if labels is None:
        raise ValueError("loss `cross_entropy` needs labels, but this dataset is a regression; use `loss: mse`")
    return labels


def accuracy(outputs: Tensor, split: Split) -> float:
    """Share of samples whose largest output is their label's; NaN for a regression."""
    return math.nan if split.labels is None else float((outputs.argmax(dim=1) == split.labels).double().mean())


def base_learning_rate(training: dict, model: dict, module: nn.Module) -> float:
    """The rate given to the optimiser: for gradient descent, scaled so that ``learning_rate`` means the same at every width and gamma."""
    scaled = training["learning_rate_scaling"] == "function_space" and training["optimizer"] in DESCENT
    return training["learning_rate"] * (learning_rate_scale(model, module) if scaled else 1.0)


def optimizer(
    training: dict, parameters: list[Tensor], learning_rate: float, module: nn.Module
) -> torch.optim.Optimizer:
    """``sgd``, ``momentum`` (SGD with heavy-ball momentum) or ``adam``, all elementwise, in one pass over the parameters.

    Or ``speed_limited``, which needs to know the layers: ``parameters`` must be those of ``module``, a network that is trained alone.
    ValueError where they are not, or where ``speeds`` does not have a speed for each layer.
    """
    decay = training["weight_decay"]
    if training["optimizer"] == "speed_limited":
        if set(parameters) != set(module.parameters()):
            text = "a stack of networks does not keep layers apart, whose norms the optimizer `speed_limited` takes"
            raise ValueError(f"{text}; train each network alone")
        return SpeedLimitedSGD(speed_groups(module, training.get("speeds")), lr=learning_rate, weight_decay=decay)
    if training["optimizer"] == "adam":
        return torch.optim.Adam(parameters, lr=learning_rate, weight_decay=decay, fused=True)
    momentum = training["momentum"] if training["optimizer"] == "momentum" else 0.0
    return torch.optim.SGD(parameters, lr=learning_rate, momentum=momentum, weight_decay=decay, fused=True)


def schedule(training: dict, step: int) -> float:
    """The factor on the learning rate at ``step``: a linear warm-up, then ``constant``, ``linear`` or ``cosine`` to 0 at the end."""
    warmup, last = training["warmup_steps"], training["max_steps"]
    if step < warmup:
        return (step + 1) / warmup
    share = (step - warmup) / max(1, last - warmup)
    if training["schedule"] == "linear":
        return 1.0 - share
    if training["schedule"] == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * share))
    return 1.0
