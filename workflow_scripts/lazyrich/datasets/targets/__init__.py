"""What synthetic targets are made of: polynomials, waves, power laws, and their closed forms."""
