"""Names of the stages and of what they learn from; needs no torch."""

ALBUMS = ("renders", "faces", "annotated")
STAGES = ("tower", "speech", "bridge", "whole")
LEAST = 0.92  # balanced read-out on held-out renders that a tower needs before the Q-Former starts
