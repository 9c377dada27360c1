"""Make the training and validation files of the embedded model.

Reads ``$NLPLUG_DATA/train`` and writes into a folder:

- ``train.jsonl.gz``: everything for one epoch. Each text stands in it twice, as it is (lower-case,
  without punctuation) and with a final ``?`` or ``.``, as people write it.
- ``eval.jsonl.gz``: a sixth of each intent and a third of the out-of-scope texts, held out by a
  hash, to watch training, to tune the confidence below which the model abstains, and to gate the
  export. As they are.
- ``confidence.jsonl.gz`` and ``measured.jsonl.gz``: two halves of these, by another part of the
  hash. The first is the record of held-out rows of the model, the second measures it.
- ``foreign_heldout.jsonl.gz``: sentences of other sets that belong to no intent, for the figures
  in the model card only.

The set has 200 texts that belong to no intent. To learn from more, those left for training are
repeated, and sentences of other open sets are added that no assistant has an intent for: questions
on encyclopedias and fairy tales, tales of third persons, messages between friends, and requests to
a bank on what none of the intents is about.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from recipes import labelled, rank, write_rows

from nlplug.data import read_rows

OUTSIDE = "oos"
HELD_OUT, HELD_OUTSIDE = 6, 3  # every sixth text of an intent, every third one outside
OUTSIDE_COPIES = 6
FOREIGN_HELD_OUT = 500

# Requests to a bank that none of the intents covers: topping up, virtual cards, identity checks.
_BANKING = re.compile(
    "age_limit|apple_pay_or_google_pay|automatic_top_up|beneficiary_not_allowed|"
    "contactless_not_working|disposable_card_limits|get_disposable_virtual_card|"
    "getting_virtual_card|pending_top_up|receiving_money|terminate_account|"
    "top_up_by_bank_transfer_charge|top_up_by_card_charge|top_up_by_cash_or_cheque|top_up_failed|"
    "top_up_limits|top_up_reverted|topping_up_by_card|unable_to_verify_identity|"
    "verify_my_identity|verify_source_of_funds|verify_top_up|why_verify_identity"
)
# Words that a foreign sentence must not contain, because it may have an intent.
_NEAR = re.compile(
    r"\b(am i|my|you|your|yours|me|mean(s|ing)?|defin(e|ed|ition)|spell(ed|ing)?|translat\w*|"
    r"weather|tax(es)?|insurance|visas?|currency|exchange|calories?|recipes?|cook\w*|"
    r"restaurants?|flights?|hotels?|holidays?|vaccin\w*|timezone|time zone|distance|how far|"
    r"traffic|songs?|music|airports?|miles?|tires?|oil|credit|interest rate|thanks?|joke\w*)\b"
)
_QUESTION = re.compile(
    r"(what|how|when|where|who|why|which|whose|is|are|am|was|were|do|does|did|can|could|will|would|"
    r"should|may|has|have|what's|whats|who's|where's|how's)\b"
)
_THIRD_PERSON = re.compile(r"(he|she|they|his|her|their|nobody|everybody|people|the (old )?\w+) ")


def spoken(text: str) -> str:
    """A sentence in the style of the set: lower-case, one line, no punctuation at the end."""
    text = re.sub(r"\s+", " ", text).strip().lower()
    return re.sub(r"[\s.?!…]+$", "", text.replace("“", '"').replace("”", '"').replace("’", "'"))


def written(text: str) -> str:
    """A text of the set with final punctuation, as people write it."""
    return text + ("?" if _QUESTION.match(text) else ".")


def column(path: Path, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """One column, by its dotted path, with the row that contains it."""
    for row in read_rows(path, columns=(name.split(".")[0],)):
        value: Any = row.values
        for part in name.split("."):
            value = value[part]
        yield str(value), row.values


def picked(texts: Iterable[str], count: int, words: tuple[int, int]) -> list[str]:
    """The given number of different sentences of this many words, in the order of their hashes."""
    least, most = words
    found = {spoken(text) for text in texts}
    fit = (text for text in found if least <= len(text.split()) <= most and not _NEAR.search(text))
    return sorted(fit, key=rank)[:count]


def foreign(source: Path) -> list[str]:
    """Sentences of other sets that belong to no intent, in the order of their hashes."""
    squad = column(source / "qa" / "squad_dev_articles_train.jsonl.gz", "question")
    qamr = column(source / "qa" / "qamr_train.jsonl.gz", "question")
    tales = column(source / "qa" / "fairytaleqa_train.jsonl.gz", "question")
    pairs = column(source / "translation" / "tatoeba_en_de.jsonl.gz", "translation.en")
    messages = column(source / "topic" / "sms_spam_train.jsonl.gz", "text")
    bank = column(source / "topic" / "banking77_train.jsonl.gz", "text")
    requests = sorted(
        {
            spoken(text)
            for text, row in bank
            if _BANKING.fullmatch(str(row["label"])) and len(text) < 90
        },
        key=rank,
    )
    return sorted(
        {
            *picked((text for text, _ in squad), 1500, (4, 14)),
            *picked((text for text, _ in qamr), 500, (5, 14)),
            *picked((text for text, _ in tales), 400, (5, 14)),
            *picked((t for t, _ in pairs if _THIRD_PERSON.match(t.lower())), 700, (5, 14)),
            *picked((text for text, _ in messages), 200, (9, 25)),
            *requests[:500],
        },
        key=rank,
    )


def intents(source: Path) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The labelled texts of the set, split by their hash into (training, validation)."""
    texts: dict[str, list[str]] = defaultdict(list)
    for text, row in column(source / "topic" / "clinc150_train.jsonl.gz", "text"):
        texts[str(row["label"])].append(text)
    kept, held = [], []
    for label, members in sorted(texts.items()):
        share = HELD_OUTSIDE if label == OUTSIDE else HELD_OUT
        members = sorted(set(members), key=rank)
        cut = len(members) // share
        held += [(text, label) for text in members[:cut]]
        kept += [(text, label) for text in members[cut:]]
    return kept, held


def prepare(data: Path, target: Path) -> None:
    """Write the files.

    Args:
        data: The folder that holds ``train``.
        target: Where to write; made if absent.
    """
    kept, held = intents(data / "train")
    known = {text for text, _ in kept + held}
    others = [text for text in foreign(data / "train") if text not in known]
    once = [
        (text, label)
        for text, label in kept
        for _ in range(OUTSIDE_COPIES if label == OUTSIDE else 1)
    ] + [(text, OUTSIDE) for text in others[FOREIGN_HELD_OUT:]]
    target.mkdir(parents=True, exist_ok=True)
    texts = [*once, *((written(text), label) for text, label in once)]
    write_rows(target / "train.jsonl.gz", labelled(texts))
    write_rows(target / "eval.jsonl.gz", labelled(held))
    for number, name in enumerate(("confidence", "measured")):
        half = [row for row in held if int(rank(row[0])[-1], 16) % 2 == number]
        write_rows(target / f"{name}.jsonl.gz", labelled(half))
    unknown = [(text, OUTSIDE) for text in others[:FOREIGN_HELD_OUT]]
    write_rows(target / "foreign_heldout.jsonl.gz", labelled(unknown))
