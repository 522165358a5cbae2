"""What goes wrong outside ferce while a script works: a full disk, a full GPU, a dead process."""

import errno
from concurrent.futures.process import BrokenProcessPool

DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# As safetensors, which gives no number, tells of a disk.
FULL = ("No space left on device", "Disk quota exceeded", "File too large")
AGAIN = "the last whole checkpoint is still there, and the same command with --resume goes on."


def sentence(error: BaseException) -> str | None:
    """Say what happened and how to go on; None for what is a fault of ferce's own."""
    import torch
    from safetensors import SafetensorError

    text = str(error)
    if isinstance(error, OSError) and error.errno in DISK:
        return f"The disk is full ({text}). Free some space; {AGAIN}"
    if isinstance(error, SafetensorError) and any(words in text for words in FULL):
        return f"The disk is full ({text}). Free some space; {AGAIN}"
    if isinstance(error, torch.OutOfMemoryError):
        return f"The GPU's memory is full; end what else uses it, or use --device cpu; {AGAIN}"
    worker = isinstance(error, RuntimeError) and text.startswith("DataLoader worker")
    if worker or isinstance(error, BrokenProcessPool):
        return (
            "A process that prepared pictures ended, perhaps for want of memory; use fewer "
            f"(--jobs, --workers); {AGAIN}"
        )
    return None
