"""The shape of images, as networks for images need it."""

from __future__ import annotations


def image_shape(input_shape: tuple[int, ...], smallest: int, architecture: str) -> tuple[int, int, int]:
    """``input_shape`` as (channels, height, width); ValueError if it is not that of images of at least ``smallest`` pixels a side."""
    if len(input_shape) != 3 or input_shape[0] < 1 or min(input_shape[1:]) < smallest:
        raise ValueError(
            f"the inputs have shape {tuple(input_shape)}; a {architecture} takes images (channels, height, width) of at least "
            f"{smallest}x{smallest} pixels: choose an image dataset, or the architecture mlp"
        )
    channels, height, width = input_shape
    return channels, height, width
