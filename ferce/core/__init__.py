"""The values and protocols that every other part speaks of."""
