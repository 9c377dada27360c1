"""Make the training, validation and hold-out files of the embedded model.

Reads ``$NLPLUG_DATA/train/translation/{tatoeba,multi30k,pythondocs}_en_fr.jsonl.gz`` and
``phrases.tsv``, and writes into a folder:

- ``train.jsonl.gz``: what the model learns from: the pairs; some once more with numbers for names,
  as they stand in place of what may not change; and phrases of letters and programs.
- ``eval.jsonl.gz``: a few hundred pairs of each set, to watch training and to gate the export.
- ``tatoeba_heldout.jsonl.gz``: a tenth of Tatoeba, for the figures in the model card only.

Pairs are held out by a hash of their English side: all translations of one sentence fall on the
same side, however it is capitalized and punctuated.
"""

from __future__ import annotations

import hashlib
import random
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from nlplug.data import open_writer, read_rows

TESTED = 10
"""One English sentence of so many is held out of Tatoeba."""
WATCHED = {"tatoeba": 400, "multi30k": 75, "pythondocs": 200}
"""One English sentence of so many watches training."""
LONGEST = 320
"""Characters of a side; longer ones would lose their ends."""
COPIES = 30
"""Pairs that are made of each phrase."""
PHRASES = Path(__file__).with_name("phrases.tsv")

_NAME = re.compile(r"(?<![\w'’-])[A-Z][a-z]{2,}(?![\w'’-])")
_NUMBER = re.compile(r"(?<![\w.,:/-])\d+(?:[.:]\d+)?(?![\w.,:/-]*\d)")
_SLOT = re.compile(r"\{[mnt]\}")

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


def number(chance: random.Random) -> str:
    """Any number, small ones most often."""
    return str(chance.randrange(2, 10 ** chance.choice((1, 2, 2, 2, 3, 4, 4, 5)) + 10))


def clock(chance: random.Random) -> str:
    return f"{chance.randrange(24)}:{chance.randrange(60):02d}"


def marked(row: Row, chance: random.Random) -> Row | None:
    """A pair with numbers for the names and numbers that both sides have; None if there are none.

    What may not change is shown to the model as numbers: here it sees them where names stand.
    """
    sides: dict[str, str] = row["translation"]
    words = {
        language: [match[0] for form in (_NAME, _NUMBER) for match in form.finditer(text)]
        for language, text in sides.items()
    }
    shared = sorted(set(words["en"]) & set(words["fr"]))
    shared = [word for word in shared if all(text.count(word) == 1 for text in sides.values())]
    if not shared:
        return None
    made = dict(sides)
    for word in shared:
        new = clock(chance) if ":" in word else number(chance)
        made = {language: text.replace(word, new, 1) for language, text in made.items()}
    return {"translation": made}


def phrases(chance: random.Random) -> Iterator[Row]:
    """Pairs made of the phrases: numbers for {n} and {m}, times for {t}."""
    for line in PHRASES.read_text(encoding="utf-8").splitlines():
        english, french = line.split("\t")
        for _ in range(COPIES):
            slots = [
                clock(chance) if slot == "{t}" else number(chance)
                for slot in _SLOT.findall(english)
            ]
            filled = [_filled(text, slots) for text in (english, french)]
            yield {"translation": dict(zip(("en", "fr"), filled, strict=True))}


def _filled(text: str, values: list[str]) -> str:
    given = iter(values)
    return _SLOT.sub(lambda _: next(given), text)


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
            if max(map(len, row["translation"].values())) > LONGEST:
                continue
            if name == "tatoeba" and part(english, TESTED, "test") == 0:
                tested.append(row)
            elif part(english, share, "eval") == 0:
                watched.append(row)
            else:
                training.append(row)
    held = {key(row["translation"]["en"]) for row in (*tested, *watched)}
    training = [row for row in training if key(row["translation"]["en"]) not in held]
    chance = random.Random(0)
    copies = [made for row in training if (made := marked(row, chance))]
    write(target / "train.jsonl.gz", [*training, *copies, *phrases(chance)])
    write(target / "eval.jsonl.gz", watched)
    write(target / "tatoeba_heldout.jsonl.gz", tested)
