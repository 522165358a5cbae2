"""Fit and package the parts of the classifier that ships with ferce."""
