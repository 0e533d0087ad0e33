"""Metrics as stages of the workflow: one file a metric."""
