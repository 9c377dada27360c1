"""How many texts in other languages does the language guard find, and how often is it wrong?

python benchmarks/languages.py [--texts 2000]

Texts of N words are made of consecutive random sentences of Tatoeba (NLPLUG_DATA), cut after N
words; Chinese has no spaces, so a text of N words is one of 1.5 N characters. A model knows one of
the languages; texts in the others are to be found, texts in its own are not. The second table has
English texts of other kinds, each row of its data set unchanged. The last lines are the CPU time
per text, alone and together with the embedded sentiment model, in alternating rounds.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import resource
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from statistics import median

from nlplug import pipeline
from nlplug.text.language import foreign_language

TATOEBA = "train/translation/tatoeba_en_{}.jsonl.gz"
LENGTHS = (2, 3, 5, 8, 12, 20, 40)
OTHERS = {
    "reviews (SST-2)": ("train/sentiment", "sst2", "text"),
    "tweets (BTC)": ("train/ner", "btc", "tokens"),
    "news (CoNLL-2003)": ("train/ner", "conll2003_en", "tokens"),
    "questions and contexts (XQuAD)": ("dev/qa", "xquad_en", "context"),
    "interface texts": ("train/translation", "software_en_fr", "en"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=2000, help="texts per language and length")
    count = parser.parse_args().texts
    data = Path(os.environ["NLPLUG_DATA"])
    sentences = {
        "en": _sentences(data, "fr", "en"),
        **{code: _sentences(data, code, code) for code in ("fr", "de", "es", "zh")},
    }
    print("| words | knows | false alarms | found: " + " | ".join(sentences) + " |")
    print("|---|---|---|" + "---|" * len(sentences))
    for words in LENGTHS:
        made = {code: _texts(found, words, count, code) for code, found in sentences.items()}
        for known in sentences:
            share = {code: _share(texts, known) for code, texts in made.items()}
            found = [f"{share[code]:.2%}" if code != known else "–" for code in sentences]
            print(f"| {words} | {known} | {share[known]:.2%} | {' | '.join(found)} |")
    print("\n| English texts | texts | flagged |\n|---|---|---|")
    for title, (folder, start, field) in OTHERS.items():
        texts = list(_rows(data / folder, start, field, count))
        print(f"| {title} | {len(texts):,} | {_share(texts, 'en'):.2%} |")
    _times(_texts(sentences["en"], 20, 500, "en"))


def _sentences(data: Path, pair: str, side: str) -> list[str]:
    with gzip.open(data / TATOEBA.format(pair), "rt", encoding="utf-8") as lines:
        return sorted({json.loads(line)["translation"][side] for line in lines})


def _texts(sentences: list[str], words: int, count: int, code: str) -> list[str]:
    draw = random.Random(words)
    texts = []
    for _ in range(count):
        parts: list[str] = []
        while len(parts) < words * (3 if code == "zh" else 2) // 2:
            sentence = draw.choice(sentences)
            parts += sentence if code == "zh" else sentence.split()
        if code == "zh":
            texts.append("".join(parts[: words * 3 // 2]))
        else:
            texts.append(" ".join(parts[:words]))
    return texts


def _share(texts: list[str], known: str) -> float:
    return sum(foreign_language(text, [known]) is not None for text in texts) / len(texts)


def _rows(folder: Path, start: str, field: str, count: int) -> Iterator[str]:
    file = next(path for path in sorted(folder.iterdir()) if path.name.startswith(start))
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for line in islice(lines, count):
            row = json.loads(line)
            value = row.get("translation", row)[field]
            yield value if isinstance(value, str) else " ".join(value)


def _times(texts: list[str]) -> None:
    """CPU time of the check alone, and of the sentiment model with and without it."""
    with pipeline("sentiment", threads=1) as pipe:
        found: dict[str, list[float]] = {"warn": [], "ignore": []}
        for _ in range(9):
            for mode, times in found.items():
                began = _cpu()
                pipe(texts, on_foreign=mode)
                times.append((_cpu() - began) / len(texts) * 1e6)
    began = _cpu()
    for text in texts:
        foreign_language(text, ["en"])
    alone = (_cpu() - began) / len(texts) * 1e6
    with_it, without = median(found["warn"][1:]), median(found["ignore"][1:])
    print(
        f"\nCheck alone {alone:.0f} µs per text of 20 words; sentiment {without:.0f} µs "
        f"without it, {with_it:.0f} µs with it ({with_it / without - 1:+.1%})"
    )


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
