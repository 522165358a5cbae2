"""Photo-real and clay faces with chosen action units, from a 3-D face model and neutral portraits."""
