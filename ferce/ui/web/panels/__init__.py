"""The panels of a reading: each file turns one part of a `Reading` into HTML, without gradio."""
