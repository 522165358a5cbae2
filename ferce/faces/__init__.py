"""Faces of a photo: detected, levelled, cropped, measured, and hidden in parts."""
