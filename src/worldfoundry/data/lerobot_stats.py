"""Minimum, maximum, mean, standard deviation and quantiles of a feature, as a LeRobotDataset holds them.

Those of the whole set stand in ``meta/stats.json``, those of an episode in its row of ``meta/episodes``.
"""

from typing import Any

import numpy as np

QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
"""Names and shares of the quantiles."""


class RunningStats:
    """Statistics of the columns of tables that come piece by piece; a large offset does not spoil the deviation.

    Quantiles are exact for one table; of several they are the mean of theirs by number of samples, as in the lerobot package.
    """

    def __init__(self, shape: tuple[int, ...]):
        self.shape = shape  # of one statistic; empty: a flat list
        self.count = self.num_rows = 0

    def add(self, table: np.ndarray, *, num_rows: int | None = None) -> None:
        """Take in ``[n, columns]``, samples of ``num_rows`` rows.

        Source: Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.
        """
        mean, squares, count = table.mean(0), table.var(0) * len(table), len(table)
        quantiles = np.quantile(table, list(QUANTILES.values()), axis=0)
        if self.count == 0:
            self.mean, self.squares = mean, squares
            self.low, self.high = table.min(0), table.max(0)
            self.quantiles = quantiles
        else:
            total, apart = self.count + count, mean - self.mean
            self.mean = self.mean + apart * count / total
            self.squares = self.squares + squares + apart**2 * self.count * count / total
            self.quantiles = self.quantiles + (quantiles - self.quantiles) * count / total
            self.low = np.minimum(self.low, table.min(0))
            self.high = np.maximum(self.high, table.max(0))
        self.count += count
        self.num_rows += len(table) if num_rows is None else num_rows

    def summary(self) -> dict[str, Any]:
        """``min``, ``max``, ``mean``, ``std``, the quantiles and ``count`` as JSON."""
        values = {
            "min": self.low,
            "max": self.high,
            "mean": self.mean,
            "std": np.sqrt(self.squares / self.count),
            **dict(zip(QUANTILES, self.quantiles, strict=True)),
        }
        shaped = {n: v.reshape(self.shape or v.shape).tolist() for n, v in values.items()}
        return shaped | {"count": [self.num_rows]}
