"""Make the training, validation and hold-out files of the model of several languages.

Reads ``$NLPLUG_DATA/train/translation/*_en_*.jsonl.gz`` and the phrases of this recipe and of that
of English to French, and writes into a folder:

- ``train.jsonl.gz``: pairs of the openly licensed sets, each set more or less often; some pairs
  once more in other forms (see ``tools/variants.py``); phrases; things that are only copied.
- ``everyday.jsonl.gz``: a smaller part of them, mostly everyday sentences, for training on a CPU.
- ``eval.jsonl.gz``: some pairs of each set, to watch training.
- ``gate.jsonl.gz``: the same pairs to gate the export; each source says its target language.
- ``heldout/<languages>_<set>.jsonl.gz``: pairs for the figures in the model card only.

``tools/pairs.py`` says how pairs are held out.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from pairs import Domain, Parts, divided, held_out, key, phrases, trained, write, write_all
from variants import Pair, copies

from nlplug.data.pairs import language_token

SETS = {
    "de": {
        "tatoeba": Domain(1.0, 200),
        "software": Domain(0.8, 200),
        "manuals": Domain(0.8, 100),
        "docs_prose": Domain(1.5, 200),
        "chat_bcontrast": Domain(1.5, 40),
        "dict_ding": Domain(0.4, 400),
        "dict_wiktionary": Domain(0.5, 400),
        "names": Domain(0.8, 100),
        "letters_business": Domain(2.5, 40),
        "business_shop": Domain(1.5, 40),
        "medical": Domain(1.0, 40),
        "bible": Domain(0.15, 200),
    },
    "es": {
        "tatoeba": Domain(1.3, 200),
        "software": Domain(0.7, 200),
        "manuals": Domain(0.7, 100),
        "docs_prose": Domain(0.8, 200),
        "dict_wiktionary": Domain(0.5, 400),
        "names": Domain(0.8, 100),
        "letters_business": Domain(2.0, 40),
        "business_shop": Domain(1.5, 40),
        "medical": Domain(1.0, 40),
        "pythondocs": Domain(0.25, 80),
        "bible": Domain(0.15, 200),
    },
    "zh": {
        "tatoeba": Domain(5.0, 100),
        "3am": Domain(2.0, 100),
        "software": Domain(0.8, 200),
        "manuals": Domain(0.8, 100),
        "docs_prose": Domain(0.7, 200),
        "dict_wiktionary": Domain(0.7, 400),
        "names": Domain(0.8, 100),
        "letters_business": Domain(2.5, 40),
        "business_shop": Domain(1.5, 40),
        "medical": Domain(2.0, 40),
        "pythondocs": Domain(0.4, 80),
        "bible": Domain(0.3, 200),
    },
    "fr": {
        "tatoeba": Domain(1.0, 200),
        "software": Domain(0.6, 200),
        "manuals": Domain(0.6, 100),
        "laws_canada": Domain(0.15, 200),
        "docs_prose": Domain(0.5, 200),
        "dict_wiktionary": Domain(0.5, 400),
        "names": Domain(0.6, 100),
        "letters_business": Domain(1.5, 40),
        "business_shop": Domain(1.0, 40),
        "public_gov": Domain(1.0, 40),
        "medical": Domain(1.0, 40),
        "bible": Domain(0.15, 200),
        "literature": Domain(1.0, 40),
        "stories": Domain(1.5, 40),
    },
}
"""The sets of English with each other language, all with an open licence."""
MIXED = "tatoeba"
"""The set with Chinese in traditional and in simplified characters."""
REVERSED = "fr"
"""The language that is translated to English, not from it."""
WATCHED = 20
"""Maximum number of validation pairs per set and language."""
COPIED = 6_000
"""Number of pairs with equal sides, for each language."""
EVERYDAY = {"tatoeba": 1.0, "letters_business": 1.0, "chat_bcontrast": 1.0, "business_shop": 0.5}
"""The share of the pairs of a set that a CPU learns."""
REST = 0.15
"""Likewise, of the other sets."""
HERE = Path(__file__).parent
PHRASES = HERE / "phrases.tsv"
FRENCH = HERE.parent / PHRASES.name


def written(language: str) -> Iterator[Pair]:
    """The phrases of a language."""
    file = FRENCH if language == "fr" else PHRASES
    column = 1 if language == "fr" else ("en", "de", "es", "zh").index(language)
    for line in file.read_text(encoding="utf-8").splitlines():
        columns = line.split("\t")
        yield columns[0], columns[column]


def simplified(parts: Parts) -> Parts:
    """The Chinese pairs without those in traditional characters, which only Tatoeba has.

    Such a character is one that none of the other sets has. What is held out stays as it is.
    """
    known = {
        letter
        for domain, pairs in parts.kept.items()
        if domain != MIXED
        for pair in pairs
        for letter in pair[1]
    }
    kept = [pair for pair in parts.kept[MIXED] if known.issuperset(pair[1])]
    print(f"{MIXED}: {len(kept):,} pairs in simplified characters", flush=True)
    return replace(parts, kept={**parts.kept, MIXED: kept})


def marked(pairs: Iterable[Pair], target: str) -> Iterator[Pair]:
    """Pairs whose sources say to which language they are translated."""
    return ((f"{language_token(target)} {source}", text) for source, text in pairs)


def directed(pairs: Iterable[Pair], language: str) -> list[Pair]:
    """Pairs of English and a language as sources and targets."""
    return [(pair[1], pair[0]) if language == REVERSED else pair for pair in pairs]


def rows(
    parts: Parts, language: str, held: set[str], shares: Mapping[str, float] | None = None
) -> Iterator[Pair]:
    """The training pairs of a language.

    Args:
        parts: The pairs by their use.
        language: The language.
        held: The keys of the pairs that are held out.
        shares: The share of each set that is taken, and `REST` of other sets; None for all of them.
    """
    chance = random.Random(language)
    for domain, wanted in SETS[language].items():
        kept = [pair for pair in parts.kept[domain] if key(pair[0]) not in held]
        share = 1.0 if shares is None else shares.get(domain, REST)
        yield from trained(directed(kept, language), wanted.weight * share, chance)
    made = list(phrases(written(language), chance))
    yield from trained(directed(made, language), 1.0, chance)
    yield from copies(round(COPIED * (1.0 if shares is None else REST)), chance, [])


def languages_of(language: str) -> tuple[str, str]:
    """The source and the target of the pairs with a language."""
    return (language, "en") if language == REVERSED else ("en", language)


def prepare(data: Path, target: Path) -> None:
    """Write the files.

    Args:
        data: The folder that holds ``train/translation``.
        target: Where the files go; made if absent.
    """
    folder = data / "train" / "translation"
    parts = {
        language: divided(folder, domains, language, watched=WATCHED)
        for language, domains in SETS.items()
    }
    parts["zh"] = simplified(parts["zh"])
    # No side of a held-out pair is in any training pair, also not with another language.
    held = held_out(*parts.values())
    for language, found in parts.items():
        source, other = languages_of(language)
        for domain, pairs in found.tested.items():
            file = target / "heldout" / f"{source}-{other}_{domain}.jsonl.gz"
            write(file, directed(pairs, language), other, source=source)
    for file, shares in (("train", None), ("everyday", EVERYDAY)):
        made = {languages_of(name): rows(parts[name], name, held, shares) for name in SETS}
        write_all(target / f"{file}.jsonl.gz", made)
    gate = [
        pair
        for name in SETS
        for pair in marked(directed(parts[name].watched, name), languages_of(name)[1])
    ]
    write(target / "gate.jsonl.gz", gate, "target", source="source")
    # Last, because it marks that all files are complete.
    watched = {languages_of(name): directed(parts[name].watched, name) for name in SETS}
    write_all(target / "eval.jsonl.gz", watched)
