"""Make the training, validation and hold-out files of the embedded model.

Reads ``$NLPLUG_DATA/train/ner/NAME_train.jsonl.gz`` of conll2003_en, btc_tweets_en, wnut17,
wikiann_en, wikineural_en and gmb_en, and writes into a folder:

- ``first.jsonl.gz``: everything for one epoch of the first run: several passes over each set, in
  each of which other neighboring sentences are put together, as the model is to read documents
  and not sentences. Sets that know no MISC say so (``label_set``).
- ``last.jsonl.gz``: the same for the runs that go on from it, with fewer passes over silver labels.
- ``watch.jsonl.gz``: sentences held out, of all kinds, which choose the checkpoint.
- ``eval.jsonl.gz``: the same and more of them, to gate the export.
- ``btc_heldout.jsonl.gz``, ``wikiann_heldout.jsonl.gz``, ``wikineural_heldout.jsonl.gz``, and
  ``wnut17_dev.jsonl.gz`` (from ``$NLPLUG_DATA/dev/ner``): for the figures in the model card only.

All is mapped onto PER, ORG, LOC and MISC.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from recipes import share, write_rows

from nlplug.data import read_rows
from nlplug.data.tags import Span, spans_of_tags, tags_of_spans

THREE = ["PER", "ORG", "LOC"]
SEED = 7
# Neighboring sentences of one article are held out together, because they contain the same names.
BLOCK = 100
WNUT = {
    "person": "PER",
    "location": "LOC",
    "corporation": "ORG",
    "group": "ORG",
    "creative-work": "MISC",
    "product": "MISC",
}
# The automatic labels of GMB include titles in names.
TITLES = frozenset(
    {
        "mr.",
        "mrs.",
        "ms.",
        "dr.",
        "president",
        "vice",
        "prime",
        "deputy",
        "foreign",
        "minister",
        "general",
        "secretary",
        "senator",
        "king",
        "queen",
        "pope",
        "chancellor",
        "secretary-general",
        "ambassador",
        "spokesman",
        "governor",
        "judge",
    }
)
GMB = {"geo": "LOC", "org": "ORG", "per": "PER", "art": "MISC", "eve": "MISC", "nat": "MISC"}
_MARKUP = re.compile(r"['*`=]+")

Sentence = tuple[list[str], list[str]]


def load(
    folder: Path, name: str, change: Callable[[list[str], list[str]], Sentence]
) -> list[Sentence]:
    path = folder / f"{name}.jsonl.gz"
    rows = read_rows(path, columns=("tokens", "ner_tags"))
    sentences = (change(row.values["tokens"], row.values["ner_tags"]) for row in rows)
    return [sentence for sentence in sentences if sentence[0]]


def as_they_are(tokens: list[str], tags: list[str]) -> Sentence:
    return tokens, tags


def tweet(tokens: list[str], tags: list[str]) -> Sentence:
    """BTC marks most account names twice, as ``@`` and as the name; only the name is kept."""
    changed = list(tags)
    for index, token in enumerate(tokens[:-1]):
        after = tags[index + 1]
        if token == "@" and tags[index] != "O" and after != "O":
            changed[index], changed[index + 1] = "O", f"B-{after[2:]}"
    return tokens, changed


def emerging(tokens: list[str], tags: list[str]) -> Sentence:
    """WNUT's types as ours; account names, which it never marks, are left out."""
    kept = [
        (token, tag if tag == "O" else f"{tag[0]}-{WNUT[tag[2:]]}")
        for token, tag in zip(tokens, tags, strict=True)
        if not (token.startswith("@") and len(token) > 1)
    ]
    return [token for token, _ in kept], [tag for _, tag in kept]


def without_markup(sentences: Iterable[Sentence]) -> Iterator[Sentence]:
    """A text of Wikipedia without its markup."""
    for tokens, tags in sentences:
        kept = [
            (token, tag)
            for token, tag in zip(tokens, tags, strict=True)
            if tag != "O" or not _MARKUP.fullmatch(token)
        ]
        yield [token for token, _ in kept], [tag for _, tag in kept]


def silver(sentences: list[Sentence], news: list[Sentence]) -> list[Sentence]:
    """GMB's types as ours: its ``gpe`` are people (MISC) or countries (LOC), by the more frequent
    use of the word in CoNLL, or else in GMB; titles are not in names; times are no entities."""
    seen = Counter(
        (token, tag[2:])
        for sentence in (*news, *sentences)
        for token, tag in zip(*sentence, strict=True)
    )

    def kind(token: str) -> str:
        news_says = seen[token, "MISC"] - seen[token, "LOC"]
        return "MISC" if (news_says or seen[token, "gpe"] - seen[token, "geo"]) > 0 else "LOC"

    found = []
    for tokens, tags in sentences:
        marked: list[Span] = []
        for first, last, label in spans_of_tags(tags):
            while label == "per" and first < last and tokens[first].lower() in TITLES:
                first += 1
            ours = kind(tokens[first]) if label == "gpe" else GMB.get(label, "")
            if ours and first < last:
                marked.append((first, last, ours))
        found.append((tokens, tags_of_spans(marked, len(tokens))))
    return found


def together(
    sentences: Iterable[Sentence], chance: random.Random, *, alone: float, longest: int
) -> Iterator[Sentence]:
    """Sentences alone or with those that follow, up to a random number of words.

    Args:
        sentences: In their order.
        chance: Where chance comes from.
        alone: Share of the rows that are one sentence.
        longest: Words that a row has at most, unless a single sentence has more.
    """
    tokens: list[str] = []
    tags: list[str] = []
    room = 0
    for words, marks in sentences:
        if tokens and len(tokens) + len(words) > room:
            yield tokens, tags
            tokens, tags = [], []
        if not tokens:
            room = 0 if chance.random() < alone else chance.randint(20, longest)
        tokens, tags = tokens + words, tags + marks
    if tokens:
        yield tokens, tags


def shuffled(sentences: list[Sentence], chance: random.Random) -> list[Sentence]:
    return chance.sample(sentences, len(sentences))


def rows(sentences: Iterable[Sentence], label_set: list[str] | None) -> Iterator[dict[str, object]]:
    for tokens, tags in sentences:
        row: dict[str, object] = {"tokens": tokens, "tags": tags}
        yield row if label_set is None else {**row, "label_set": label_set}


def half_open(sentences: Iterable[Sentence], chance: random.Random) -> Iterator[dict[str, object]]:
    """Rows of a set without MISC. In every other one, unmarked words count as no entity: without
    such examples the model marks too many words as MISC."""
    for sentence in sentences:
        yield from rows([sentence], THREE if chance.random() < 0.5 else None)


def blocks_of(sentences: list[Sentence]) -> list[list[Sentence]]:
    return [sentences[start : start + BLOCK] for start in range(0, len(sentences), BLOCK)]


def block_share(block: list[Sentence]) -> float:
    return share(" ".join(token for sentence in block[:2] for token in sentence[0]))


def by_hash(sentences: list[Sentence], *ends: float) -> tuple[list[Sentence], ...]:
    """Sentences split by the hash of their text; the last part has the rest."""
    parts: tuple[list[Sentence], ...] = tuple([] for _ in range(len(ends) + 1))
    for sentence in sentences:
        place = share(" ".join(sentence[0]))
        parts[sum(place >= end for end in ends)].append(sentence)
    return parts


def prepare(data: Path, target: Path) -> None:
    """Write the files.

    Args:
        data: The folder that holds ``train/ner`` and ``dev/ner``.
        target: Where to write; made if absent.
    """
    source = data / "train" / "ner"
    news = load(source, "conll2003_en_train", as_they_are)
    news_held = [s for block in blocks_of(news) if block_share(block) < 0.05 for s in block]
    news_runs = [block for block in blocks_of(news) if block_share(block) >= 0.05]
    tweets_held, tweets_eval, tweets = by_hash(
        load(source, "btc_tweets_en_train", tweet), 0.1, 0.13
    )
    wiki_held, wiki_eval, wiki = by_hash(load(source, "wikiann_en_train", as_they_are), 0.08, 0.1)
    wiki = list(without_markup(wiki[::2])) + wiki[1::2]
    articles = blocks_of(load(source, "wikineural_en_train", as_they_are))
    articles_held = [s for block in articles if block_share(block) < 0.05 for s in block]
    articles_eval = [s for block in articles if 0.05 <= block_share(block) < 0.07 for s in block]
    article_runs = [block for block in articles if block_share(block) >= 0.07]
    emerged = load(source, "wnut17_train", emerging)
    more = silver(load(source, "gmb_en_train", as_they_are), news)
    more_runs = [block for block in blocks_of(more) if block_share(block) < 0.2]
    chance = random.Random(SEED)

    def documents(*runs: list[Sentence]) -> Iterator[dict[str, object]]:
        for run in runs:
            yield from rows(together(run, chance, alone=0.3, longest=150), None)

    def posts(sentences: list[Sentence]) -> Iterator[Sentence]:
        return together(shuffled(sentences, chance), chance, alone=0.5, longest=60)

    passes: list[Iterable[dict[str, object]]] = []
    for number in range(6):
        passes += [documents(*news_runs), rows(posts(tweets), THREE), rows(posts(emerged), THREE)]
        if number < 4:
            passes.append(documents(*article_runs))
        if number < 2:
            passes += [documents(*more_runs), rows(posts(wiki), THREE)]
    target.mkdir(parents=True, exist_ok=True)
    write_rows(target / "first.jsonl.gz", *passes)
    passes = [documents(*news_runs * 3, *article_runs * 2, *more_runs)]
    for mixed in (tweets, tweets, emerged, emerged, wiki[: len(wiki) // 4]):
        passes.append(half_open(posts(mixed), chance))
    write_rows(target / "last.jsonl.gz", *passes)
    parts = (news_held, None), (tweets_eval, THREE), (wiki_eval, THREE), (articles_eval, None)
    write_rows(target / "watch.jsonl.gz", *(rows(part[::3], known) for part, known in parts))
    write_rows(target / "eval.jsonl.gz", *(rows(part, known) for part, known in parts))
    write_rows(target / "btc_heldout.jsonl.gz", rows(tweets_held, THREE))
    write_rows(target / "wikiann_heldout.jsonl.gz", rows(wiki_held, THREE))
    write_rows(target / "wikineural_heldout.jsonl.gz", rows(articles_held, None))
    comments = load(data / "dev" / "ner", "wnut17_dev", emerging)
    write_rows(target / "wnut17_dev.jsonl.gz", rows(comments, THREE))
