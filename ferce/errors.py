"""The error whose text is one sentence for the user, raised while a face is being read."""


class ReadingError(RuntimeError):
    """A face could not be read for a reason outside ferce, such as a silent server."""
