"""The targets, compared with the measurements."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bar:
    """One goal, and what was measured."""

    title: str
    target: float
    measured: float
    unit: str
    at_least: bool

    @property
    def met(self) -> bool:
        return self.measured >= self.target if self.at_least else self.measured <= self.target
