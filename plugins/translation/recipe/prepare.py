"""Make the training, validation and hold-out files of the embedded model.

Reads ``$NLPLUG_DATA/train/translation/{tatoeba_en_fr,multi30k_en_fr}.jsonl.gz`` and writes into a
folder:

- ``train.jsonl.gz``: what the model learns from.
- ``eval.jsonl.gz``: a few hundred pairs of each set, to watch training and to gate the export.
- ``tatoeba_heldout.jsonl.gz``: a tenth of Tatoeba, for the figures in the model card only.

Pairs are held out by a hash of their English side: all translations of one sentence fall on the
same side, however it is capitalized and punctuated.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nlplug.data import open_writer, read_rows

TESTED = 10
"""One English sentence of so many is held out of Tatoeba."""
WATCHED = {"tatoeba": 400, "multi30k": 75}
"""One English sentence of so many watches training."""

Row = dict[str, Any]


def key(english: str) -> str:
    """The letters and digits of a sentence, which are the same however it is written."""
    letters = unicodedata.normalize("NFKC", english).casefold()
    return "".join(letter for letter in letters if letter.isalnum())


def part(english: str, parts: int, salt: str) -> int:
    """Which of so many parts a sentence falls into."""
    digest = hashlib.sha256(f"{salt}/{key(english)}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % parts


def read(path: Path) -> list[Row]:
    return [{"translation": row.values["translation"]} for row in read_rows(path)]


def write(path: Path, rows: Iterable[Row]) -> None:
    with open_writer(path) as writer:
        for row in rows:
            writer.write(row)


def prepare(data: Path, target: Path) -> None:
    """Write the files.

    Args:
        data: The folder that holds ``train/translation``.
        target: Where the files go; made if absent.
    """
    target.mkdir(parents=True, exist_ok=True)
    training: list[Row] = []
    watched: list[Row] = []
    tested: list[Row] = []
    for name, share in WATCHED.items():
        for row in read(data / "train" / "translation" / f"{name}_en_fr.jsonl.gz"):
            english = row["translation"]["en"]
            if name == "tatoeba" and part(english, TESTED, "test") == 0:
                tested.append(row)
            elif part(english, share, "eval") == 0:
                watched.append(row)
            else:
                training.append(row)
    held = {key(row["translation"]["en"]) for row in (*tested, *watched)}
    write(
        target / "train.jsonl.gz",
        (row for row in training if key(row["translation"]["en"]) not in held),
    )
    write(target / "eval.jsonl.gz", watched)
    write(target / "tatoeba_heldout.jsonl.gz", tested)
