"""Photo-real and clay faces with chosen action units, from a 3-D kit and neutral portraits."""
