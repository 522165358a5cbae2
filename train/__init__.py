"""Scripts that render, train, evaluate, measure and publish; each runs as a path or as a module."""
