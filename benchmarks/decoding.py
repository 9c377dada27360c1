"""What the contenders of the decoding benchmarks are asked: cases, prompts, and how they answer."""

from __future__ import annotations

import json
import random
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

from contenders import CPUS, Settings

SEED = 20262
SHAPE_FILE = "shape.json"
COMPLETE = "complete.json"
"""Names the engines whose models of a shape are there."""
FAILED = ".failed"
"""Ending of the file that says why a contender's model could not be made."""
TOP_K, TOP_P = 50, 0.95

Tokens = list[list[int]]


@dataclass(frozen=True)
class Case:
    """One way to decode, of which there is a column in the table.

    Attributes:
        rows: Texts in a batch.
        beams: Of a beam search; 1 for none.
        sampled: Draw by top-k and top-p.
        like: The case whose best settings are taken over instead of a sweep.
    """

    rows: int
    beams: int = 1
    sampled: bool = False
    like: str = ""


@dataclass(frozen=True)
class Shape:
    """Lengths and vocabulary, the same for every contender; it is in the folder of the models.

    Attributes:
        prompt: Tokens of a prompt or source.
        new: Tokens that each text is given.
        vocabulary: Tokens that there are.
        end: The token that ends a source, or None where prompts have no end.
    """

    prompt: int
    new: int
    vocabulary: int
    end: int | None = None

    @classmethod
    def load(cls, folder: Path) -> Shape:
        return cls(**json.loads((folder / SHAPE_FILE).read_text(encoding="utf-8")))

    def save(self, folder: Path) -> None:
        (folder / SHAPE_FILE).write_text(json.dumps(asdict(self)), encoding="utf-8")

    def prompts(self, count: int) -> Tokens:
        """``count`` prompts of random tokens, the same on each machine."""
        rng = random.Random(SEED)
        words = self.prompt - (self.end is not None)
        # The first and the last few ids are special tokens.
        rows = [[rng.randrange(8, self.vocabulary - 8) for _ in range(words)] for _ in range(count)]
        return rows if self.end is None else [[*row, self.end] for row in rows]


class DecodingContender(ABC):
    """One engine with one set of weights in one precision.

    Args:
        folder: Of the shape's models.
        precision: ``fp32``, ``int8`` or another one of the engine.

    Attributes:
        environment: The environment of its own that it runs in; "" for that of the benchmark.
        file: What its model is called in the folder.
    """

    environment: ClassVar[str] = ""
    file: ClassVar[str] = "checkpoint"

    def __init__(self, folder: Path, precision: str) -> None:
        self.folder = folder
        self.precision = precision
        self.shape = Shape.load(folder)
        self.case = Case(1)

    @classmethod
    def sweep(cls, case: Case) -> list[Settings]:
        """The settings that are tried before the best of them competes."""
        return [{}]

    @abstractmethod
    def prepare(self, settings: Settings, case: Case) -> None:
        """Take them on, untimed."""

    @abstractmethod
    def run(self, prompts: Tokens) -> Tokens:
        """The new tokens of each prompt, exactly `Shape.new` of them."""


@dataclass(frozen=True)
class Entry:
    """A contender by its parts: what the table calls it is elsewhere.

    Attributes:
        kind: The engine.
        shape: The folder of its models.
        precision: The name in its kind.
    """

    kind: type[DecodingContender]
    shape: str
    precision: str = "fp32"

    def open(self, work: Path) -> DecodingContender:
        """Load it, in the worker."""
        return self.kind(work / self.shape, self.precision)

    def missing(self, models: Path, environments: Path) -> str:
        """Why it cannot take part; "" if it can."""
        for path in (
            environments / "environments" / f"{self.kind.environment}{FAILED}",
            models / self.shape / f"{self.kind.file}{FAILED}",
            models / self.shape / f"{self.kind.file}-{self.precision}{FAILED}",
        ):
            if path.exists():
                return path.read_text(encoding="utf-8").strip()
        return ""


def crews(case: Case) -> list[Settings]:
    """Sessions and threads of each: one with one, one over all CPUs, one a CPU for batches."""
    found = [{"sessions": 1, "threads": threads} for threads in sorted({1, CPUS})]
    if case.rows > 1 and CPUS > 1:
        found.append({"sessions": CPUS, "threads": 1})
    return found


def shares(prompts: Tokens, parts: int) -> list[Tokens]:
    """The prompts in as many parts of about one size, in their order."""
    parts = min(parts, len(prompts))
    cuts = [len(prompts) * part // parts for part in range(parts + 1)]
    return [prompts[start:end] for start, end in pairwise(cuts)]
