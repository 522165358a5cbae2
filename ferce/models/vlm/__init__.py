"""Vision-language models: loaded, scored, and asked; one file a family."""
