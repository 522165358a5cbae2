"""The small BLIP-2 and FastVLM that ship with ferce, trained from nothing in stages."""

ALBUMS = ("renders", "faces", "annotated")
STAGES = ("tower", "speech", "bridge", "whole")  # of the small BLIP-2
TALK = "talk"  # the one stage of the small FastVLM
LEAST = 0.92  # balanced read-out on held-out renders that a tower needs before the Q-Former starts
