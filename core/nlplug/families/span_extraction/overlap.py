"""Compares an answer with the right answers: exact match and F1 as in SQuAD."""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_ASCII_PUNCTUATION = str.maketrans("", "", string.punctuation)
# Scripts without spaces: each character counts as a word (as in CMRC and MLQA).
_CHARACTER = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)


def normalized(text: str) -> str:
    """Lower case, without punctuation and English articles, with single spaces.

    On English text the result equals that of SQuAD's own script. In a text with Chinese or Japanese
    characters all Unicode punctuation is removed, and each of these characters is a word.
    """
    text = text.lower().translate(_ASCII_PUNCTUATION)
    if _CHARACTER.search(text):
        text = "".join(c for c in text if not unicodedata.category(c).startswith("P"))
        text = _CHARACTER.sub(r" \g<0> ", text)
    return " ".join(_ARTICLES.sub(" ", text).split())


def exact_match(answer: str, right: Sequence[str]) -> float:
    """1 if the answer equals a right answer after normalization, else 0.

    Without right answers the question has no answer, and the empty answer is right.
    """
    return max(float(normalized(answer) == normalized(gold)) for gold in right or [""])


def f1(answer: str, right: Sequence[str]) -> float:
    """The highest word F1 of the answer and a right answer.

    If one of them is empty after normalization, F1 is 1 if both are empty, else 0.
    """
    return max(_f1(normalized(answer).split(), normalized(gold).split()) for gold in right or [""])


def _f1(answer: list[str], gold: list[str]) -> float:
    if not answer or not gold:
        return float(answer == gold)
    common = sum((Counter(answer) & Counter(gold)).values())
    return 2 * common / (len(answer) + len(gold))
