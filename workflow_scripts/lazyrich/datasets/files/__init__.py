"""The files that datasets are made from: where they come from, and that they are what they should be."""
