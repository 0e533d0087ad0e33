"""Figures from the tidy table of metrics."""
