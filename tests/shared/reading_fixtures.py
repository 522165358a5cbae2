"""A reader of known answers that can fail, wait and die, and folders of photos that make it."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import report_fixtures as known
from PIL import Image

from ferce import images
from ferce.core.parts import Answer, Report

# What the first pixel of a photo makes the reader do; any other value is read.
NO_FACE, FAILS, INTERRUPTS, DIES, WAITS = range(5)
LOG = "KNOWN_READER_LOG"  # names the file to which the reader writes what it reads


class Reader:
    """Reads a photo's first pixel."""

    models = {"detector": "known", "classifier": "known", "voice": "known"}  # noqa: RUF012

    def __init__(self):
        self.classifier, self.options, self.closed = self, [], False

    @property
    def name(self):
        return "known"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closed = True

    def read(self, source, name=None, options=None):
        self.options.append(options)
        if LOG in os.environ:
            with Path(os.environ[LOG]).open("a") as log:
                log.write(Path(name).name + "\n")
        try:
            photo = images.load(source)
        except images.ImageError as error:
            return Report(name, error=str(error))
        if (first := int(photo[0, 0, 0])) <= WAITS:
            return self._odd(first, name)
        answers = tuple(Answer(question, "Yes.", "known") for question in options.questions)
        heat = {} if options.method else {"heatmap": None}
        made = known.reading(
            answers=answers, prediction=known.prediction(share=first / 255), **heat
        )
        return Report(name, (photo.shape[1], photo.shape[0]), 0.01, (made,))

    def _odd(self, first, name):
        if first == FAILS:
            raise RuntimeError("out of memory")
        if first == INTERRUPTS:
            raise KeyboardInterrupt
        if first == DIES:
            os.kill(os.getpid(), signal.SIGKILL)
        if first == WAITS:
            time.sleep(600)
        return Report(name, error="No face was found.")


def open_known(arguments):
    """The reader; a function of a module, so that it can travel to another process."""
    del arguments
    return Reader()


def open_none(arguments):
    """No reader."""
    raise OSError("The Hub does not answer.")


def paint(path, value):
    """A photo of one colour."""
    Image.fromarray(np.full((40, 60, 3), value, np.uint8)).save(path)


def album(folder, count=12):
    """A folder of so many photos, each with its own answer."""
    folder.mkdir()
    for i in range(count):
        paint(folder / f"{i:02}.png", 100 + i)
    return folder
