"""Tangent kernels from the structure of layers, at the speed of matrix multiplication and without a Jacobian of the network."""
