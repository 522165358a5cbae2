"""Which rows come together: those of like length, so that little is spent on padding."""

from collections.abc import Sequence

import numpy as np

from ferce.training.sampling import Indices

POOL = 16  # steps whose rows are sorted together; more saves padding and mixes less


def grouped(lengths: Sequence[int], step: int, seed: Sequence[int]) -> list[Indices]:
    """Rows of each optimiser step of an epoch; a function of its arguments alone.

    Rows are shuffled, sorted by length within pools of `POOL` steps, and the steps shuffled again;
    steps differ by at most one row, so that none is a small remainder.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(lengths))
    pools = max(1, -(-len(order) // (step * POOL)))
    steps: list[Indices] = []
    for pool in np.array_split(order, pools):
        sorted_pool = pool[np.argsort(np.asarray(lengths)[pool], kind="stable")]
        steps += np.array_split(sorted_pool, max(1, -(-len(pool) // step)))
    return [steps[i] for i in rng.permutation(len(steps))]


def cut(members: Indices, lengths: Sequence[int], tokens: int) -> list[Indices]:
    """A step's rows in passes of at most `tokens` tokens, padding included, and at least one row.

    The longest steps decide how much memory a run needs; in more passes they compute the same.
    """
    passes: list[list[int]] = []
    for row in sorted(members.tolist(), key=lambda i: lengths[i]):
        if passes and lengths[row] * (len(passes[-1]) + 1) <= tokens:
            passes[-1].append(row)
        else:
            passes.append([row])
    return [np.array(part) for part in passes]


def padding(lengths: Sequence[int], steps: Sequence[Indices]) -> float:
    """The share 0..1 of computed tokens that are padding."""
    sizes = np.asarray(lengths)
    computed = sum(int(sizes[step].max()) * len(step) for step in steps)
    return 1 - float(sizes[np.concatenate(list(steps))].sum()) / computed
