"""Samples that exist already, and what makes splits of them."""
