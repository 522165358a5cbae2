"""The reading of a photograph or a clip, part by part."""
