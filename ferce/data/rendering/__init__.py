"""Render photo-real and clay faces with chosen action units, from a 3-D kit and portraits."""
