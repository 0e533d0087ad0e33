"""lazyrich: how much, how well and in which directions networks learn features."""
