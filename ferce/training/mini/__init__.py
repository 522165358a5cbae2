"""The small BLIP-2 that ships with ferce, made from nothing in stages."""
