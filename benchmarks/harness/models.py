"""The benchmark's networks in torch, and their weights."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.cases import Network


class BasicBlock(nn.Module):
    """relu(bn(conv(relu(bn(conv x)))) + shortcut(x)); He et al., arXiv 1512.03385."""

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != channels:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.relu2(y + self.shortcut(x))


def resnet18(width: int, outputs: int) -> nn.Sequential:
    """ResNet18 for 32x32 images: 3x3 stem without pooling, stages of width, 2, 4 and 8 times that."""
    layers: list[nn.Module] = [nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    inputs = width
    for stage in range(4):
        channels = width * 2**stage
        layers.append(BasicBlock(inputs, channels, stride=1 if stage == 0 else 2))
        layers.append(BasicBlock(channels, channels, stride=1))
        inputs = channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, outputs))


def build(network: Network) -> nn.Module:
    """The network in eval mode, in float32, with torch's own initial weights."""
    width, outputs = network.width, network.outputs
    if network.kind == "mlp":
        sizes = [784, width, width, width]
        hidden = [m for a, b in zip(sizes, sizes[1:], strict=False) for m in (nn.Linear(a, b), nn.ReLU())]
        model = nn.Sequential(*hidden, nn.Linear(width, outputs))
    elif network.kind == "cnn":
        model = nn.Sequential(
            *(nn.Conv2d(3, width, 3, 2, 1), nn.ReLU()),
            *(nn.Conv2d(width, 2 * width, 3, 2, 1), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(2 * width * 64, outputs)),
        )
    elif network.kind == "cnn-pooled":
        model = nn.Sequential(
            *(nn.Conv2d(3, width, 3, 1, 1), nn.ReLU(), nn.AvgPool2d(2)),
            *(nn.Conv2d(width, 2 * width, 3, 1, 1), nn.ReLU(), nn.AvgPool2d(2)),
            *(nn.Flatten(), nn.Linear(2 * width * 64, outputs)),
        )
    else:
        model = resnet18(width, outputs)
    return model.eval()


def draw_weights(network: Network, rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
    """He-normal weights, small biases, and BatchNorm scales and statistics that are not the trivial ones."""
    weights: dict[str, NDArray[np.float32]] = {}
    for name, tensor in build(network).state_dict().items():
        shape = tuple(tensor.shape)
        if name.endswith("num_batches_tracked"):
            continue
        if len(shape) > 1:
            values = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
        elif name.endswith("running_var"):
            values = rng.uniform(0.5, 2.0, shape)
        elif name.endswith("weight"):
            values = rng.uniform(0.5, 1.5, shape)
        else:
            values = 0.1 * rng.standard_normal(shape)
        weights[name] = values.astype(np.float32)
    return weights


def load(network: Network, weights: dict[str, NDArray[np.float32]]) -> nn.Module:
    """The network with these weights."""
    model = build(network)
    missing, unexpected = model.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()}, strict=False)
    if unexpected or any(not name.endswith("num_batches_tracked") for name in missing):
        raise ValueError(f"weights do not fit {network}: missing {missing}, unexpected {unexpected}")
    return model
