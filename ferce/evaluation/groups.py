"""How a model does on groups of people whose emotions are shown one at a time, or not at all.

Compounds are sliced by `slices`; photographs whose action units or neutral rest are known, here.
"""

import json
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from ferce.core.labels import NEUTRAL
from ferce.evaluation.pictures import KEYS
from ferce.evaluation.slices import ENOUGH
from ferce.evaluation.units import FEWEST, Coded
from ferce.facs.action_units import UNIT_NUMBERS
from ferce.facs.prototypes import ACTIVE

PEOPLE = ("age", "sex", "ethnicity")  # of `scored.KEYS`
AGES = (20, 30, 40, 60)  # years that part the age groups


def figures(rows: Iterable[Mapping[str, str]]) -> dict[str, dict[str, dict[str, float | int]]]:
    """Attribute -> group of `slices.ENOUGH` faces or more -> what was found.

    Of each group: `faces`; `unit_f1`, over the units that `units.FEWEST` of all faces show, taken
    together; of its neutral faces `neutral_recall`, the share that was called neutral, and
    `brow_alarms`, the share in which AU4 was seen. {} where no group can be told from another.
    """
    kept = [row for row in rows if row["status"] == "read"]
    table = Coded.of(kept)
    said = np.nan_to_num(table.seen) >= ACTIVE
    called = np.array([row["decided"] == NEUTRAL for row in kept], np.bool_)
    found = {}
    for name in PEOPLE:
        values = np.array([_group(name, row) for row in kept], np.str_)
        sizes = {str(v): int((values == v).sum()) for v in np.unique(values[values != ""])}
        large = [v for v, size in sizes.items() if size >= ENOUGH]
        if len(large) > 1:
            found[name] = {v: _one(table, said, called, values == v) for v in large}
    return found


def _one(
    table: Coded, said: NDArray[np.bool_], called: NDArray[np.bool_], who: NDArray[np.bool_]
) -> dict[str, float | int]:
    places = (table.truth == 1).sum(0) >= FEWEST
    truth, told = table.truth[who][:, places], said[who][:, places]
    known = ~np.isnan(truth)
    there = (truth == 1) & known
    total = int(there.sum() + (told & known).sum())
    made: dict[str, float | int] = {"faces": int(who.sum())}
    if total:
        made["unit_f1"] = float(2 * (there & told).sum() / total)
    resting = who & table.neutral
    if resting.any():
        made["neutral_recall"] = float(called[resting].mean())
        made["brow_alarms"] = float(said[resting, UNIT_NUMBERS.index(4)].mean())
    return made


def _group(name: str, row: Mapping[str, str]) -> str:
    """The group of a face, "" where not told; ages in years are put together."""
    told = json.loads(row["attributes"] or "{}")
    value = str(next((told[key] for key in KEYS[name] if told.get(key)), ""))
    if name != "age" or not value.isdecimal():
        return value
    above = [age for age in AGES if age <= int(value)]
    below = [age for age in AGES if age > int(value)]
    if not above:
        return f"below {AGES[0]}"
    return f"{above[-1]} to {below[0] - 1}" if below else f"{AGES[-1]} and above"
