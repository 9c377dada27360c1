"""Make the training, validation and hold-out files of the embedded model.

Reads ``$NLPLUG_DATA/train/translation/*_en_fr.jsonl.gz`` and ``phrases.tsv``, and writes into a
folder:

- ``train.jsonl.gz``: what the model learns from: pairs of the openly licensed sets, each set more
  or less often; some pairs once more in other forms (see ``variants.py``); phrases of letters and
  programs; things that are only copied.
- ``more.jsonl.gz``: the same of the sets for research or non-commercial use.
- ``eval.jsonl.gz``: some pairs of each set, to watch training and to gate the export.
- ``heldout/<set>.jsonl.gz``: pairs of each set for the figures in the model card only.

Pairs are held out by a hash of their English side: all translations of one sentence fall on the
same side, however it is capitalized and punctuated.
"""

from __future__ import annotations

import hashlib
import random
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from variants import Pair, clock, copies, joined, name, number, stand_in, varied

from nlplug.data import open_writer, read_rows


@dataclass(frozen=True)
class Domain:
    """A set of pairs.

    Attributes:
        weight: How often each of its pairs comes in a pass; below 1, so large a part of it.
        tested: One English sentence of so many is held out for the card.
    """

    weight: float
    tested: int


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

MOST = 500
"""Maximum number of held-out pairs per set."""
WATCHED = 80
"""Maximum number of validation pairs per set."""
LONGEST = 450
"""Maximum number of characters per side; longer ones would be truncated."""
VARIED = 160
"""Maximum number of characters of the English side of a pair that gets other forms."""
JOINED = 0.05
"""Share of the pairs that are joined in twos."""
SENSES = 2
"""Maximum number of translations of a dictionary entry."""
SLOTS, PLAIN = 24, 12
"""Number of pairs made of each phrase with slots, and of each without."""
COPIED = 12_000
"""Number of pairs with equal sides."""
PHRASES = Path(__file__).with_name("phrases.tsv")

_ENTITY = re.compile(r"&#?\w{2,8};")
_SLOT = re.compile(r"\{[mntp]\}")


def key(english: str) -> str:
    """The letters and digits of a sentence, independent of case and punctuation."""
    letters = unicodedata.normalize("NFKC", english).casefold()
    return "".join(letter for letter in letters if letter.isalnum())


def part(english: str, parts: int, salt: str) -> int:
    """Index of the part that contains a sentence, by its hash."""
    digest = hashlib.sha256(f"{salt}/{key(english)}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % parts


def read(path: Path, target: str = "fr") -> list[Pair]:
    rows = (row.values["translation"] for row in read_rows(path))
    return [(row["en"].strip(), row[target].strip()) for row in rows]


def write(path: Path, pairs: Iterable[Pair]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_writer(path) as writer:
        for english, french in pairs:
            writer.write({"translation": {"en": english, "fr": french}})


def usable(pair: Pair, domain: str) -> bool:
    """Whether a pair is neither too long nor plainly wrong."""
    english, french = pair
    lengths = sorted((len(english), len(french)))
    if not english or not french or lengths[1] > LONGEST:
        return False
    if lengths[1] > 30 and lengths[1] > 3 * lengths[0]:
        return False
    if domain == "dict_wiktionary" and "+" in english + french:
        return False
    if _ENTITY.search(french) and not _ENTITY.search(english):
        return False
    words = [word for word in re.findall(r"[^\W\d_]+", english) if word.islower()]
    return not (english == french and len(words) > 3)


def phrases(chance: random.Random) -> Iterator[Pair]:
    """Pairs made of the phrases.

    {n} becomes a number, {t} a time, {p} a name, {m} anything that stays as it is.
    """
    makers = {"{n}": number, "{t}": clock, "{p}": name, "{m}": stand_in}
    for line in PHRASES.read_text(encoding="utf-8").splitlines():
        english, french = line.split("\t")
        slots = _SLOT.findall(english)
        for _ in range(SLOTS if slots else PLAIN):
            values = [makers[slot](chance) for slot in slots]
            yield _filled(english, values), _filled(french, values)


def _filled(text: str, values: Sequence[str]) -> str:
    given = iter(values)
    return _SLOT.sub(lambda _: next(given), text)


def senses(pairs: Iterable[Pair]) -> Iterator[Pair]:
    """The first translations of each entry of a dictionary."""
    seen: Counter[str] = Counter()
    for pair in pairs:
        seen[pair[0]] += 1
        if seen[pair[0]] <= SENSES:
            yield pair


def weighted(pairs: Sequence[Pair], weight: float, chance: random.Random) -> Iterator[Pair]:
    """Each pair as often as its set's weight says; the fraction of a weight is sampled."""
    for pair in pairs:
        for _ in range(int(weight) + (chance.random() < weight % 1)):
            yield pair


def trained(pairs: Sequence[Pair], weight: float, chance: random.Random) -> Iterator[Pair]:
    """The training pairs of a set."""
    before: Pair | None = None
    for pair in weighted(pairs, weight, chance):
        yield pair
        if len(pair[0]) > VARIED:
            continue
        yield from varied(pair, chance)
        if before and chance.random() < JOINED and (made := joined(before, pair)):
            yield made
        before = chance.choice((before, pair))


def prepare(data: Path, target: Path) -> None:
    """Write the files.

    Args:
        data: The folder that holds ``train/translation``.
        target: Where the files go; made if absent.
    """
    folder = data / "train" / "translation"
    kept: dict[str, list[Pair]] = {}
    tested: dict[str, list[Pair]] = {}
    watched: list[Pair] = []
    for domain, wanted in {**OPEN, **RESTRICTED}.items():
        pairs = [pair for pair in read(folder / f"{domain}_en_fr.jsonl.gz") if usable(pair, domain)]
        pairs = list(senses(pairs)) if domain == "dict_wiktionary" else pairs
        found = [pair for pair in pairs if part(pair[0], wanted.tested, "test") == 0]
        tested[domain] = found[:MOST]
        rest = [pair for pair in pairs if part(pair[0], wanted.tested, "test") != 0]
        seen = [pair for pair in rest if part(pair[0], wanted.tested, "eval") == 0]
        watched += seen[:WATCHED]
        kept[domain] = rest
        print(f"{domain}: {len(pairs):,} pairs, {len(tested[domain])} held out", flush=True)
    held = {key(pair[0]) for pairs in (*tested.values(), watched) for pair in pairs}
    foreign = [pair[1] for pair in read(folder / f"{FOREIGN}.jsonl.gz", "zh")[:2000]]
    for file, domains, seed in (("train", OPEN, 0), ("more", RESTRICTED, 1)):
        chance = random.Random(seed)
        made = [
            pair
            for domain, wanted in domains.items()
            for pair in trained(
                [pair for pair in kept[domain] if key(pair[0]) not in held], wanted.weight, chance
            )
        ]
        if domains is OPEN:
            made += trained(list(phrases(chance)), 1.0, chance)
            made += copies(COPIED, chance, foreign)
        write(target / f"{file}.jsonl.gz", made)
        print(f"{file}: {len(made):,} pairs", flush=True)
    for domain, pairs in tested.items():
        write(target / "heldout" / f"{domain}.jsonl.gz", pairs)
    # Last, because it marks that all files are complete.
    write(target / "eval.jsonl.gz", watched)
