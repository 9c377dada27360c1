"""A toy set of texts that the tiniest model can learn to judge."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

GOOD = ("good", "great", "lovely", "fine")
BAD = ("bad", "awful", "dull", "poor")
FILLERS = ("the", "film", "was", "is", "a", "plot", "and", "so")
VOCABULARY = (*GOOD, *BAD, *FILLERS)


def toy_rows(count: int) -> list[dict[str, Any]]:
    """Texts of which a single word tells the label."""
    chance = random.Random(0)
    rows = []
    for index in range(count):
        words = chance.choices(FILLERS, k=chance.randint(1, 6))
        words.insert(chance.randint(0, len(words)), chance.choice(GOOD if index % 2 else BAD))
        rows.append({"text": " ".join(words), "label": index % 2})
    return rows


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
