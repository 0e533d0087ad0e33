"""Linear and convolutional layers with an explicit multiplier: h = multiplier * (W x) + bias_multiplier * b.

The weights are drawn as W ~ N(0, std^2), so that (multiplier, std) states a parametrization; see
`lazyrich.models.parametrization` for the values. Being subclasses of `nn.Linear` and `nn.Conv2d` they are found by
every tool that looks for those; the weight that acts on the input is `multiplier * weight`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


@torch.no_grad()
def _draw_normal(parameter: Tensor, std: float, generator: torch.Generator) -> None:
    if std == 0.0:
        parameter.zero_()
        return
    # Drawn in float64 on the generator's device and then copied: a seed means the same weights, up to rounding, in
    # every precision and on every device.
    draw = torch.empty(parameter.shape, dtype=torch.float64, device=generator.device)
    parameter.copy_(nn.init.normal_(draw, 0.0, std, generator=generator))


class _Scaled(nn.Module):
    """What the two layers share; comes before `nn.Linear` or `nn.Conv2d` among the bases."""

    def set_scales(self, multiplier: float, std: float, bias_multiplier: float, bias_std: float) -> None:
        self.multiplier = float(multiplier)
        self.std = float(std)
        self.bias_multiplier = float(bias_multiplier)
        self.bias_std = float(bias_std)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw W ~ N(0, std^2) and b ~ N(0, bias_std^2) from `generator`.

        Without a generator the parameters become NaN. PyTorch's constructors make that call: a network that was never
        initialised then shows at once, and the global random state stays untouched.
        """
        for name, parameter in self.named_parameters(recurse=False):
            if generator is None:
                nn.init.constant_(parameter, float("nan"))
            else:
                _draw_normal(parameter, self.std if name == "weight" else self.bias_std, generator)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, multiplier={self.multiplier:.4g}, std={self.std:.4g}"


class Linear(_Scaled, nn.Linear):
    """h = multiplier * (W x) + bias_multiplier * b, from (..., in_features) to (..., out_features)."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = False,
        multiplier: float = 1.0,
        std: float = 1.0,
        bias_std: float = 0.0,
        bias_multiplier: float = 1.0,
    ) -> None:
        super().__init__(in_features, out_features, bias=bias)
        self.set_scales(multiplier, std, bias_multiplier, bias_std)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs = self.multiplier * nn.functional.linear(inputs, self.weight)
        return outputs if self.bias is None else outputs + self.bias_multiplier * self.bias


class Conv2d(_Scaled, nn.Conv2d):
    """h = multiplier * (W * x) + bias_multiplier * b: stride 1, zero padding that keeps the image size (odd kernels).

    x has shape (n, in_channels, height, width), h has shape (n, out_channels, height, width).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        bias: bool = False,
        multiplier: float = 1.0,
        std: float = 1.0,
        bias_std: float = 0.0,
        bias_multiplier: float = 1.0,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=bias)
        self.set_scales(multiplier, std, bias_multiplier, bias_std)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs = self.multiplier * nn.functional.conv2d(inputs, self.weight, padding=self.padding)
        return outputs if self.bias is None else outputs + self.bias_multiplier * self.bias[:, None, None]
