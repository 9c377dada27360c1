"""Make the training, validation and hold-out files of the embedded model.

Reads ``$NLPLUG_DATA/train/translation/*_en_fr.jsonl.gz`` and ``phrases.tsv``, and writes into a
folder:

- ``train.jsonl.gz``: what the model learns from: pairs of the openly licensed sets, each set more
  or less often; some pairs once more in other forms (see ``tools/variants.py``); phrases of letters
  and programs; words of everyday language; things that are only copied.
- ``again.jsonl.gz``: what it learns from once more, on a CPU: a part of them, mostly short, and the
  words more often.
- ``more.jsonl.gz``: the same of the sets for research or non-commercial use.
- ``eval.jsonl.gz``: some pairs of each set, to watch training and to gate the export.
- ``heldout/<set>.jsonl.gz``: pairs of each set for the figures in the model card only.

``tools/pairs.py`` says how pairs are held out.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path

from pairs import Domain, divided, held_out, key, phrases, read, trained, write
from variants import Pair, copies

OPEN = {
    "tatoeba": Domain(1.0, 200),
    "software": Domain(1.0, 200),
    "manuals": Domain(1.0, 100),
    "laws_canada": Domain(0.45, 200),
    "docs_prose": Domain(0.8, 200),
    "dict_wiktionary": Domain(0.8, 400),
    "names": Domain(1.0, 100),
    "letters_business": Domain(3.0, 40),
    "business_shop": Domain(2.0, 40),
    "public_gov": Domain(1.5, 40),
    "medical": Domain(1.0, 40),
    "pythondocs": Domain(0.6, 80),
    "bible": Domain(0.3, 200),
    "literature": Domain(1.0, 40),
    "stories": Domain(2.0, 40),
}
"""Sets with an open licence."""
RESTRICTED = {
    "multi30k": Domain(1.0, 100),
    "business_sourceavailable_r": Domain(2.0, 40),
    "chat_service_nc": Domain(2.0, 40),
    "docs_progit_nc": Domain(0.7, 40),
}
"""Sets for research or non-commercial use."""
FOREIGN = "tatoeba_en_zh"
"""A set with texts in another script, parts of which are copied."""

COPIED = 12_000
"""Number of pairs with equal sides."""
PHRASES = Path(__file__).with_name("phrases.tsv")
WORDS = Path(__file__).with_name("words.tsv")
SHORT = 32
"""Maximum number of characters of a short English side."""
PARTS = {"short": 0.25, "long": 0.05}
"""The parts of the short and long pairs from which the model learns once more."""
SPOKEN, SPOKEN_AGAIN = 3, 6
"""How often each word comes, and how often then."""


def written(file: Path) -> Iterator[Pair]:
    """The phrases or words of this recipe."""
    for line in file.read_text(encoding="utf-8").splitlines():
        english, french = line.split("\t")
        yield english, french


def words(pairs: Iterable[Pair]) -> Iterator[Pair]:
    """Words and short phrases as people write them: small, with a capital, with a mark."""
    for english, french in pairs:
        forms = {(english, french), (_capital(english), _capital(french))}
        for first, second in sorted(forms):
            yield first, second
            if first.endswith("?"):
                yield first.rstrip("?"), second.rstrip(" ?")
            elif first[-1].isalpha():
                yield f"{first}.", f"{second}."
                yield f"{first}!", f"{second} !"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def prepare(data: Path, target: Path) -> None:
    """Write the files.

    Args:
        data: The folder that holds ``train/translation``.
        target: Where the files go; made if absent.
    """
    folder = data / "train" / "translation"
    parts = divided(folder, {**OPEN, **RESTRICTED}, "fr")
    held = held_out(parts)
    foreign = [pair[1] for pair in read(folder / f"{FOREIGN}.jsonl.gz", "zh")[:2000]]
    for file, domains, seed in (("train", OPEN, 0), ("more", RESTRICTED, 1)):
        chance = random.Random(seed)
        made = [
            pair
            for domain, wanted in domains.items()
            for pair in trained(
                [pair for pair in parts.kept[domain] if key(pair[0]) not in held],
                wanted.weight,
                chance,
            )
        ]
        if domains is OPEN:
            said, spoken = (
                [pair for pair in written(file) if key(pair[0]) not in held]
                for file in (PHRASES, WORDS)
            )
            spoken = list(words(spoken))
            made += trained(list(phrases(said, chance)), 1.0, chance)
            made += copies(COPIED, chance, foreign)
            again = [
                pair
                for pair in made
                if chance.random() < PARTS["short" if len(pair[0]) <= SHORT else "long"]
            ]
            write(target / "again.jsonl.gz", again + spoken * SPOKEN_AGAIN)
            made += spoken * SPOKEN
        write(target / f"{file}.jsonl.gz", made)
    for domain, pairs in parts.tested.items():
        write(target / "heldout" / f"{domain}.jsonl.gz", pairs)
    # Last, because it marks that all files are complete.
    write(target / "eval.jsonl.gz", parts.watched)
