"""What stops a training run, in one sentence for the person who started it."""


class TrainingError(ValueError):
    """What was expected, what came, and what to do."""
