"""Annotated pictures that researchers bring: a spec names a data set, a reader reads its layout."""

from ferce.data.record import DataError, DataSet, Problem, Row, Sample, UnitLabel, pixels
from ferce.data.sources import READERS, load_data, require, restricted

__all__ = [
    "READERS",
    "DataError",
    "DataSet",
    "Problem",
    "Row",
    "Sample",
    "UnitLabel",
    "load_data",
    "pixels",
    "require",
    "restricted",
]
