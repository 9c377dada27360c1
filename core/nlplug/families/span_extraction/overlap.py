"""How near an answer is to the right ones: exact match and F1 as SQuAD counts them."""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_ASCII_PUNCTUATION = str.maketrans("", "", string.punctuation)
# Scripts written without spaces: a character is what a word is elsewhere (as in CMRC and MLQA).
_CHARACTER = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)


def normalized(text: str) -> str:
    """Lower case, without punctuation and English articles, with single spaces.

    On English text the result is that of SQuAD's own script. Where there are Chinese or Japanese
    characters their punctuation goes too, and each of the characters stands alone.
    """
    text = text.lower().translate(_ASCII_PUNCTUATION)
    if _CHARACTER.search(text):
        text = "".join(c for c in text if not unicodedata.category(c).startswith("P"))
        text = _CHARACTER.sub(r" \g<0> ", text)
    return " ".join(_ARTICLES.sub(" ", text).split())


def exact_match(answer: str, right: Sequence[str]) -> float:
    """1 if the answer equals one of the right ones after normalization, else 0.

    No right answer at all means that the question has none: then the empty answer is the right one.
    """
    return max(float(normalized(answer) == normalized(gold)) for gold in right or [""])


def f1(answer: str, right: Sequence[str]) -> float:
    """The best F1 of the answer's words against those of one of the right answers.

    Where either is empty after normalization it is 1 if both are, else 0.
    """
    return max(_f1(normalized(answer).split(), normalized(gold).split()) for gold in right or [""])


def _f1(answer: list[str], gold: list[str]) -> float:
    if not answer or not gold:
        return float(answer == gold)
    common = sum((Counter(answer) & Counter(gold)).values())
    return 2 * common / (len(answer) + len(gold))
