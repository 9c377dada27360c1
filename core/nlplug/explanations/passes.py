"""Runs the rows of one input with some of its words replaced."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nlplug.explanations.contract import Outputs, Target
from nlplug.explanations.words import Units
from nlplug.runtime.model import Row

Run = Callable[[list[Row]], Sequence[Outputs]]


class Passes:
    """The value of a target with words replaced.

    A row is run once for each set of its own words that is replaced, so words in other windows of a
    long text cost nothing.

    Args:
        run: Runs rows of the graph.
        rows: The rows of the target.
        units: The words of these rows.
        target: What is explained.
        stand_in: The token that replaces the tokens of a word.

    Attributes:
        count: Number of rows that were run.
    """

    def __init__(
        self, run: Run, rows: Sequence[Row], units: Units, target: Target, stand_in: int
    ) -> None:
        self._run = run
        self._rows = rows
        self._units = units
        self._target = target
        self._stand_in = stand_in
        self._known: dict[tuple[int, bytes], Outputs] = {}
        self._own = [units.of_row(number) for number in range(len(rows))]
        self.count = 0

    def know(self, outputs: Sequence[Outputs]) -> None:
        """Take the outputs of the unchanged rows, which are then not run."""
        for number, output in enumerate(outputs):
            self._known[self._key(number, np.zeros(len(self._units), dtype=bool))] = output

    def values(self, replaced: np.ndarray) -> np.ndarray:
        """The value of the target for sets of replaced words.

        Args:
            replaced: (sets, units) of bool.

        Returns:
            (sets,) of float64.
        """
        missing: dict[tuple[int, bytes], Row] = {}
        for chosen in replaced:
            for number in range(len(self._rows)):
                key = self._key(number, chosen)
                if key not in self._known and key not in missing:
                    missing[key] = self._changed(number, chosen)
        outputs = self._run([*missing.values()]) if missing else []
        self.count += len(missing)
        self._known.update(zip(missing, outputs, strict=True))
        return np.array(
            [
                self._target.value(
                    [self._known[self._key(number, chosen)] for number in range(len(self._rows))]
                )
                for chosen in replaced
            ],
            dtype=np.float64,
        )

    def _key(self, number: int, chosen: np.ndarray) -> tuple[int, bytes]:
        return number, np.packbits(chosen[self._own[number]]).tobytes()

    def _changed(self, number: int, chosen: np.ndarray) -> Row:
        row, own = self._rows[number], self._units.tokens[number]
        gone = (own >= 0) & np.append(chosen, False)[own]
        ids = np.where(gone, self._stand_in, np.asarray(row.features["input_ids"]))
        return Row({**row.features, "input_ids": ids}, row.meta)
