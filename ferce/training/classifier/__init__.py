"""Train a classifier of expressions."""
