"""Pairs of texts for training translators: what recipes of several languages share.

Pairs are held out by a hash of their English side: all translations of one sentence fall on the
same side, however it is capitalized and punctuated.
"""

from __future__ import annotations

import hashlib
import random
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from variants import Pair, clock, joined, name, number, stand_in, varied

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


@dataclass(frozen=True)
class Parts:
    """The pairs of some sets by their use.

    Attributes:
        kept: For training, by set.
        tested: For the figures of the card, by set.
        watched: To watch training and to gate the export.
    """

    kept: Mapping[str, Sequence[Pair]]
    tested: Mapping[str, Sequence[Pair]]
    watched: Sequence[Pair]


TOKENS = 128
"""Maximum number of tokens per side, as in the settings."""
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
HAN = 2.5
"""Letters of other scripts that a Chinese character counts as, where lengths are compared."""

_ENTITY = re.compile(r"&#?\w{2,8};")
_SLOT = re.compile(r"\{[mntp]\}")
_HAN = re.compile("[\u4e00-\u9fff]")


def key(english: str) -> str:
    """The letters and digits of a sentence, independent of case and punctuation."""
    letters = unicodedata.normalize("NFKC", english).casefold()
    return "".join(letter for letter in letters if letter.isalnum())


def part(english: str, parts: int, salt: str) -> int:
    """Index of the part that contains a sentence, by its hash."""
    digest = hashlib.sha256(f"{salt}/{key(english)}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % parts


def read(path: Path, target: str = "fr") -> list[Pair]:
    """The pairs of a file of English and another language."""
    rows = (row.values["translation"] for row in read_rows(path))
    return [(row["en"].strip(), row[target].strip()) for row in rows]


def write(path: Path, pairs: Iterable[Pair], target: str = "fr", *, source: str = "en") -> None:
    """Write pairs of a source and a target."""
    write_all(path, {(source, target): pairs})


def write_all(path: Path, parts: Mapping[tuple[str, str], Iterable[Pair]]) -> None:
    """Write the pairs of several pairs of languages, one after the other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_writer(path) as writer:
        for (source, target), pairs in parts.items():
            for first, second in pairs:
                writer.write({"translation": {source: first, target: second}})
    print(f"{path.name}: {writer.count:,} pairs", flush=True)


def usable(pair: Pair, domain: str) -> bool:
    """Whether a pair is neither too long nor plainly wrong."""
    english, other = pair
    lengths = sorted((len(english), round(len(other) + (HAN - 1) * len(_HAN.findall(other)))))
    if not english or not other or lengths[1] > LONGEST:
        return False
    if lengths[1] > 30 and lengths[1] > 3 * lengths[0]:
        return False
    if domain == "dict_wiktionary" and "+" in english + other:
        return False
    if _ENTITY.search(other) and not _ENTITY.search(english):
        return False
    words = [word for word in re.findall(r"[^\W\d_]+", english) if word.islower()]
    return not (english == other and len(words) > 3)


def phrases(pairs: Iterable[Pair], chance: random.Random) -> Iterator[Pair]:
    """Pairs made of phrases with slots.

    {n} becomes a number, {t} a time, {p} a name, {m} anything that stays as it is.
    """
    makers = {"{n}": number, "{t}": clock, "{p}": name, "{m}": stand_in}
    for english, other in pairs:
        slots = _SLOT.findall(english)
        for _ in range(SLOTS if slots else PLAIN):
            values = [makers[slot](chance) for slot in slots]
            yield _filled(english, values), _filled(other, values)


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


def divided(
    folder: Path, domains: Mapping[str, Domain], target: str, *, watched: int = WATCHED
) -> Parts:
    """The pairs of English and another language by their use.

    Args:
        folder: The folder with a file for each set.
        domains: The sets.
        target: The other language.
        watched: Maximum number of validation pairs per set.
    """
    kept: dict[str, list[Pair]] = {}
    tested: dict[str, list[Pair]] = {}
    seen: list[Pair] = []
    for domain, wanted in domains.items():
        pairs = read(folder / f"{domain}_en_{target}.jsonl.gz", target)
        pairs = [pair for pair in pairs if usable(pair, domain)]
        pairs = list(senses(pairs)) if domain.startswith("dict_") else pairs
        parts = [part(pair[0], wanted.tested, "test") == 0 for pair in pairs]
        tested[domain] = [pair for pair, held in zip(pairs, parts, strict=True) if held][:MOST]
        rest = [pair for pair, held in zip(pairs, parts, strict=True) if not held]
        seen += [pair for pair in rest if part(pair[0], wanted.tested, "eval") == 0][:watched]
        kept[domain] = rest
        print(f"{domain}: {len(pairs):,} pairs, {len(tested[domain])} held out", flush=True)
    return Parts(kept, tested, seen)


def held_out(*parts: Parts) -> set[str]:
    """The keys of all pairs that are not trained on."""
    groups = (pairs for one in parts for pairs in (*one.tested.values(), one.watched))
    return {key(pair[0]) for pairs in groups for pair in pairs}


def vocabulary(
    texts: Iterable[str], target: Path, *, size: int, tokens: Sequence[str] = ()
) -> Path:
    """The folder of a tokenizer without unknown tokens, trained where it is missing.

    Args:
        texts: The texts, which are read only for the training.
        target: The folder.
        size: Number of tokens, of which 256 are bytes.
        tokens: Those that name a target language.
    """
    from nlplug.train.vocabulary import train_tokenizer

    if not (target / "tokenizer.json").is_file():
        made = train_tokenizer(
            texts,
            kind="unigram-bytes",
            size=size,
            end="</s>",
            max_length=TOKENS,
            closed=True,
            tokens=tokens,
        )
        made.save_pretrained(target)
    return target
