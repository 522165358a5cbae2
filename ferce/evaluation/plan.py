"""What an evaluation measures: its plan and faces; the tables on disk with which it goes on."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from ferce.core.parts import Prediction, Reading
from ferce.core.protocols import Classifier
from ferce.core.types import Face, Scores
from ferce.data import load_data
from ferce.data.align import Aligned, Settings, align
from ferce.data.record import SPLITS, Problem, Row
from ferce.facs.decision import predict
from ferce.models import spec
from ferce.models.hub import weights
from ferce.report.table import FORMULAS

FILE = "settings.json"
ALIGNED_KINDS = ("demo", "rendered")  # their pictures are crops as the detector cuts them
# File names that are no Unicode stand as the bytes they are.
_TEXT: Any = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}
T = TypeVar("T")
_MARKED = ("'", *FORMULAS)  # begin of a text before which a cell has an apostrophe
BATCH = 32  # faces held in memory at a time


class EvaluationError(ValueError):
    """An error in one sentence: why this cannot be measured and what to do."""


@dataclass(frozen=True)
class Plan:
    """The evaluation of one model on one split.

    Attributes:
        model: spec of the classifier.
        data: spec of the data set.
        split: one of `SPLITS`.
        detect: "yes" finds and aligns the face, "no" takes the picture as a crop; "auto" takes
            rendered pictures as they are, as training does, unless the model needs landmarks.
            Texts and heat maps are always measured on faces that were found.
        free_text: also ask for the compound in the model's own words (`named`); what names none is
            wrong.
        voice: spec of the voice whose explanations are scored; "" for none.
        clip: Hub id or folder of the CLIP for CLIPScore; "" for none.
        encoder: Hub id or folder of a sentence encoder; "" for none.
        parts: also score each part of the packaged classifier alone; see `parts`.
        heatmaps: number of faces whose heat maps are scored.
        method: of the heat maps, a key of `heatmaps.METHODS` or "auto".
        end_to_end: spec of the original pictures, which go through the app's detector; "" for none.
        draws: resamples behind each interval.
        seed: of the resampling, the controls and the choice of faces for heat maps.
    """

    model: str = "prototypes"
    data: str = "demo"
    split: str = "test"
    detect: str = "auto"
    free_text: bool = False
    voice: str = ""
    clip: str = ""
    encoder: str = ""
    parts: bool = False
    heatmaps: int = 0
    method: str = "auto"
    end_to_end: str = ""
    draws: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise EvaluationError(f"split is one of {', '.join(SPLITS)}; got {self.split!r}.")
        if self.detect not in ("auto", "yes", "no"):
            raise EvaluationError(f"detect is auto, yes or no; got {self.detect!r}.")
        if (self.clip or self.encoder) and not self.voice:
            raise EvaluationError("clip and encoder score the texts of a voice; name a voice, too.")
        if self.parts and spec.parse(self.model).kind != "embedded":
            raise EvaluationError(f"parts are those of the kind embedded; got {self.model!r}.")
        if self.heatmaps < 0 or self.draws < 1:
            raise EvaluationError("heatmaps is 0 or more and draws is 1 or more.")

    def settles(self) -> dict[str, Any]:
        """List what the rows of the pictures depend on; another value needs another folder."""
        names = ("model", "data", "split", "free_text")
        settings = {name: getattr(self, name) for name in names}
        return settings | {"detect": self.detects, "weights": weights(self.model)}

    @property
    def detects(self) -> bool:
        """Whether faces are found in the pictures."""
        if self.detect == "auto":
            kind = self.data.partition("?")[0].partition(":")[0]
            measures = spec.parse(self.model).kind in ("prototypes", "embedded")
            return kind not in ALIGNED_KINDS or measures
        return self.detect == "yes"


def claim(folder: Path, name: str, wanted: dict[str, Any]) -> None:
    """Note under `name` what the folder's tables depend on.

    Raises:
        EvaluationError: they were made with other settings; the message names the first.
    """
    path = folder / FILE
    noted: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    earlier = noted.get(name)
    if earlier is not None and earlier != wanted:
        odd = next(key for key in {**earlier, **wanted} if earlier.get(key) != wanted.get(key))
        raise EvaluationError(
            f"{folder} holds an evaluation ({name}) with {odd} = {earlier.get(odd)!r}, not "
            f"{wanted.get(odd)!r}; give another output folder, or start afresh with --fresh."
        )
    write_json(path, noted | {name: wanted})


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file whole or not at all; raises ValueError for NaN."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    part.replace(path)


class Table:
    """A CSV of rows with a `name` column, each a line, appended in the order of the data."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        """Open or make the file; a last line that was cut off is removed.

        Raises:
            EvaluationError: the file has other columns.
        """
        self.path, self.columns = path, tuple(columns)
        if path.is_file():
            _mend(path)
        if not path.is_file() or not path.stat().st_size:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._write([dict(zip(columns, columns, strict=True))])
        self._check()

    def _check(self) -> None:
        with self.path.open(**_TEXT) as file:
            header = tuple(next(csv.reader(file)))
        if header != self.columns:
            raise EvaluationError(
                f"{self.path} has other columns than this version writes; start afresh (--fresh)."
            )

    def rows(self) -> Iterator[dict[str, str]]:
        """Read the rows on disk, one at a time."""
        with self.path.open(**_TEXT) as file:
            for row in csv.DictReader(file):
                yield {name: _text(cell) for name, cell in row.items()}

    def done(self) -> dict[str, str]:
        """Map names to labels of the rows on disk ("" where there is no such column)."""
        return {row["name"]: row.get("label", "") for row in self.rows()}

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write rows to disk; cells are made one line, None becomes an empty cell."""
        self._write([{k: _cell(row.get(k)) for k in self.columns} for row in rows])

    def _write(self, rows: Sequence[Mapping[str, str]]) -> None:
        with self.path.open("a", **_TEXT) as file:
            csv.DictWriter(file, self.columns, lineterminator="\n").writerows(rows)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return repr(float(value))  # all digits: figures do not change by being written
    if value is None:
        return ""
    line = " ".join(str(value).split())
    return f"'{line}" if isinstance(value, str) and line.startswith(_MARKED) else line


def _text(cell: str | None) -> str:
    """Read a cell that `_cell` wrote, without the apostrophe that it put before it."""
    cell = cell or ""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_MARKED) else cell


def _mend(path: Path) -> None:
    """Cut the file behind its last whole line."""
    with path.open("r+b") as file:
        end = file.seek(0, 2)
        while end > 0:
            start = max(end - 65_536, 0)
            file.seek(start)
            place = file.read(end - start).rfind(b"\n")
            if place >= 0:
                file.truncate(start + place + 1)
                return
            end = start
        file.truncate(0)


@dataclass(frozen=True)
class Tools:
    """The settings of a pass over the faces: cache of crops, processes, progress bars."""

    cache: Path
    jobs: int = 1
    shown: bool = True

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise EvaluationError(f"jobs is 1 or more; got {self.jobs}.")


@dataclass(frozen=True, eq=False)
class Read:
    """A face of the data with its reading, which holds the scores and the prediction."""

    item: Aligned
    reading: Reading

    @property
    def face(self) -> Face:
        """The face, with the action units that the classifier measured."""
        return self.reading.face

    @property
    def prediction(self) -> Prediction:
        """The decision about the face."""
        assert self.reading.prediction is not None, "`predicted` decides about every face"
        return self.reading.prediction

    @property
    def scores(self) -> Scores:
        """The classifier's scores, one row."""
        assert self.reading.scores is not None, "`predicted` scores every face"
        return self.reading.scores


def default_cache() -> Path:
    """Find the cache that training uses, too."""
    return Path.home() / ".cache" / "ferce" / "aligned"


def rows_of(data: str, split: str) -> Iterator[Row]:
    """List the samples and problems of one split, in order."""
    return (row for row in load_data(data).rows() if row.split == split)


def aligned(rows: Iterable[Row], detect: bool, tools: Tools) -> Iterator[Aligned | Problem]:
    """Align the face of each row, from the cache where it is there; or the problem."""
    return align(rows, tools.cache, Settings(detect=detect), tools.jobs)


def predicted(classifier: Classifier, items: Sequence[Aligned]) -> list[Read]:
    """Predict a batch, those included that the app would refuse to read."""
    readings = predict(classifier, [item.face() for item in items])
    return [Read(item, reading) for item, reading in zip(items, readings, strict=True)]


def batches(items: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    """Split items into lists of `size`, the last perhaps shorter."""
    stream = iter(items)
    while batch := list(islice(stream, size)):
        yield batch


def watched(items: Iterable[T], name: str, shown: bool, total: int | None = None) -> Iterator[T]:
    """Pass items on with a progress bar on standard error."""
    from tqdm.auto import tqdm

    yield from tqdm(items, desc=name, total=total, disable=not shown, unit="face", delay=1.0)
