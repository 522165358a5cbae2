"""Faces of a photograph: detected, levelled, cropped, measured, and hidden in parts."""
