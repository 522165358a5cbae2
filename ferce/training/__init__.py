"""Training on Accelerate: the loops, and what they share."""
