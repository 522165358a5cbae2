"""From a run folder to a model on the Hub with an honest card."""
