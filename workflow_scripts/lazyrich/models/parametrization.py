"""How weights, outputs and learning rates scale with width and with the richness gamma.

A layer computes h = multiplier * (W x) with W ~ N(0, std^2); fan_in is the number of its inputs.

| name     | std of all layers         | multiplier, hidden | multiplier, readout      | learning rate  |
|----------|---------------------------|--------------------|--------------------------|----------------|
| standard | init_scale / sqrt(fan_in) | 1                  | 1 / gamma                | gamma^2        |
| ntk      | init_scale                | 1 / sqrt(fan_in)   | 1 / (gamma sqrt(fan_in)) | gamma^2        |
| mup      | init_scale                | 1 / sqrt(fan_in)   | 1 / (gamma fan_in)       | fan_in gamma^2 |

gamma divides the output: small gamma is lazy, large gamma is rich. Biases start at zero; that of the readout is divided
like the rest of the output (by gamma; in mup by gamma fan_in), so that f is exactly proportional to 1 / gamma.

The fan_in of a convolution is in_channels in ntk and mup, as in the public code of the Pehlevan group, and
in_channels * kernel_height * kernel_width in the standard parametrization, as in PyTorch.

Sources: Jacot et al. (arXiv 1806.07572) for ntk; Chizat et al. (arXiv 1812.07956) for the output scale; Yang and Hu
(arXiv 2011.14522) and Bordelon and Pehlevan (arXiv 2205.09653) for mup with gamma.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from lazyrich.models.features import readout_layer
from lazyrich.specification import choice, positive_number

PARAMETRIZATIONS = ("standard", "ntk", "mup")


@dataclass(frozen=True)
class Parametrization:
    """The scales of every layer of a network. `hidden` and `readout` return keyword arguments of the layers."""

    name: str
    gamma: float = 1.0
    init_scale: float = 1.0

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Parametrization:
        """Read `parametrization`, `gamma` and `init_scale`; ValueError on an unknown name and on scales not above 0."""
        return cls(
            name=choice(spec, "parametrization", PARAMETRIZATIONS, "standard"),
            gamma=positive_number(spec, "gamma", 1.0),
            init_scale=positive_number(spec, "init_scale", 1.0),
        )

    def hidden(self, fan_in: int, receptive_field: int = 1) -> dict[str, float]:
        """Scales of a hidden layer; `receptive_field` is kernel_height * kernel_width of a convolution."""
        if self.name == "standard":
            return {"multiplier": 1.0, "std": self.init_scale / math.sqrt(fan_in * receptive_field)}
        return {"multiplier": 1.0 / math.sqrt(fan_in), "std": self.init_scale}

    def readout(self, fan_in: int) -> dict[str, float]:
        """Scales of the last layer, with the division of the output by gamma in its multipliers."""
        if self.name == "mup":
            output_multiplier = 1.0 / (self.gamma * fan_in)
            return {"multiplier": output_multiplier, "bias_multiplier": output_multiplier, "std": self.init_scale}
        scales = self.hidden(fan_in)
        return {
            "multiplier": scales["multiplier"] / self.gamma,
            "bias_multiplier": 1.0 / self.gamma,
            "std": scales["std"],
        }


def learning_rate_scale(spec: Mapping[str, Any], model: nn.Module) -> float:
    """The factor on the learning rate of gradient descent that holds the speed of the outputs fixed.

    Outputs move at the rate learning_rate * NTK. The NTK is proportional to 1 / gamma^2 and, in mup, to 1 / fan_in of
    the readout besides, so the factor is gamma^2 (standard, ntk) or fan_in * gamma^2 (mup). In the standard
    parametrization the NTK also grows with width, and in all of them with init_scale; this factor leaves both alone. It
    is meant for gradient descent with or without momentum; Adam and speed limited optimisation, whose
    steps do not follow the size of the gradient, need none.
    """
    parametrization = Parametrization.from_spec(spec)
    width_factor = readout_layer(model).in_features if parametrization.name == "mup" else 1
    return width_factor * parametrization.gamma**2
