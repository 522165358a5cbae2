"""The small BLIP-2 and FastVLM that ship with ferce, trained from nothing in stages."""
