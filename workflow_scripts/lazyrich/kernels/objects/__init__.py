"""Kernels as stages of the workflow: one file a kernel object."""
