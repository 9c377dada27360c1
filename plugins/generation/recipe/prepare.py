"""Make the training and validation files of the embedded model.

Reads ``$NLPLUG_DATA/train/lm/NAME_train.jsonl.gz`` of ``fairytales``, ``african_storybook``,
``pratham_stories_en`` and ``eltec_english_novels``, and writes into a folder:

- ``first.jsonl.gz``: what the model reads first: English novels, fairy tales and storybooks.
- ``last.jsonl.gz``: what it reads last: the tales and storybooks several times, and a share of the
  novels, so that it does not learn the tales by heart.
- ``again.jsonl.gz``: what it reads when it goes on: storybooks of one source more, and other pieces
  of the novels.
- ``eval.jsonl.gz``: fairy tales held out, to watch training and to gate the export.

Many tales have a line end wherever a printed page had one. The model reads them as they are and
with their lines joined, as people write on a page of today.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from nlplug.data import open_writer, read_rows

HELD_OUT = 25
"""One of this many fairy tales is held out, by a hash of its title."""
PRINTED, JOINED = 3, 2
"""Passes over the tales in ``last.jsonl.gz``, as they are and with their lines joined."""
NOVELS = 5
"""One of this many pieces of a novel goes into ``last.jsonl.gz``."""


def texts(path: Path, language: str = "en") -> Iterator[tuple[str, str]]:
    """Title and text of each row in that language."""
    for row in read_rows(path):
        if row.values.get("lang", language) == language:
            yield str(row.values.get("title", "")), straight(str(row.values["text"]))


def straight(text: str) -> str:
    """The text with straight quotes."""
    return text.translate(str.maketrans("“”‘’", "\"\"''"))


def joined(text: str) -> str:
    """The text with one line per paragraph."""
    if "\n\n" in text:
        paragraphs = re.split(r"\n\s*\n", text)
        return "\n".join(re.sub(r"\s*\n\s*", " ", part) for part in paragraphs)
    return re.sub(r"(?<![.!?\"':])\n", " ", text)


def share(name: str, parts: int) -> int:
    """Index of the part that contains a name, by its hash."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % parts


def write(path: Path, rows: Iterable[str]) -> None:
    with open_writer(path) as writer:
        for text in rows:
            writer.write({"text": text})


def prepare(data: Path, target: Path) -> None:
    """Write the files.

    Args:
        data: The folder that holds ``train/lm``.
        target: Where the files go; made if absent.
    """
    target.mkdir(parents=True, exist_ok=True)
    folder = data / "train" / "lm"
    tales = list(texts(folder / "fairytales_train.jsonl.gz"))
    books = [joined(text) for _, text in texts(folder / "african_storybook_train.jsonl.gz")]
    novels = [text for _, text in texts(folder / "eltec_english_novels_train.jsonl.gz")]
    kept = [text for title, text in tales if share(title, HELD_OUT)]
    read = [*kept * PRINTED, *map(joined, kept * JOINED), *books * JOINED]
    write(target / "first.jsonl.gz", [*kept, *books, *novels])
    write(target / "last.jsonl.gz", [*read, *novels[::NOVELS]])
    more = [joined(text) for _, text in texts(folder / "pratham_stories_en_train.jsonl.gz")]
    others = [*novels[1::NOVELS], *novels[2::NOVELS]]
    write(target / "again.jsonl.gz", [*read, *more * JOINED, *others])
    write(target / "eval.jsonl.gz", [text for title, text in tales if not share(title, HELD_OUT)])
