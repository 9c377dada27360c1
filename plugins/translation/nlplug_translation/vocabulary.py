"""What the vocabulary of a model can write, and what it cannot."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from nlplug_translation.excerpt import Excerpt
from nlplug_translation.protected import Span, united

if TYPE_CHECKING:
    from nlplug.runtime.tokenizer import Tokenizer

# Marks, and those of ASCII that stand for them where a vocabulary lacks them.
_FOLDS = {
    **dict.fromkeys("“”„‟«»″", '"'),
    **dict.fromkeys("‘’‚‛′", "'"),
    **dict.fromkeys("‐‑‒–—―−", "-"),
    "…": "...",
}
_CAPITALS = re.compile(r"\b[A-Z]{2,10}\b")
_WORD = re.compile(r"\S+")
# Letters with the marks that belong to them; every other character by itself.
_RUNS = re.compile(
    r"[\w\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0dff\u0e00-\u0eff\u1000-\u109f"
    r"\u1780-\u17ff\u1ab0-\u1aff\u200c\u200d\u20d0-\u20ff\ufe20-\ufe2f]+|."
)


def lacking_ids(tokenizer: Tokenizer) -> frozenset[int]:
    """The tokens of characters that a vocabulary lacks.

    They are the unknown token, if there is one, and the bytes ``<0x00>`` to ``<0xFF>`` that a
    SentencePiece vocabulary falls back to.
    """
    names = (tokenizer.token_id(f"<0x{byte:02X}>") for byte in range(256))
    found = (tokenizer.unk_token_id, *names)
    return frozenset(token for token in found if token is not None and token >= 0)


@dataclass(frozen=True)
class Vocabulary:
    """The vocabulary of sources.

    Attributes:
        tokens: From texts to their tokens, without special ones.
        lacking: The tokens of characters that it lacks; see `lacking_ids`.
    """

    tokens: Callable[[Sequence[str]], Sequence[Sequence[int]]]
    lacking: frozenset[int] = frozenset()

    @cached_property
    def _folds(self) -> dict[int, str]:
        """The marks that it lacks, and those that it has in their place."""
        ids = self.tokens([*_FOLDS, *_FOLDS.values()])
        both = zip(_FOLDS.items(), ids, ids[len(_FOLDS) :], strict=False)
        return {
            ord(mark): fold
            for (mark, fold), own, its in both
            if self.lacks(own) and not self.lacks(its)
        }

    def lacks(self, tokens: Sequence[int]) -> bool:
        """Whether it lacks a character of the text that has these tokens."""
        return not self.lacking.isdisjoint(tokens)

    def folded(self, text: str) -> str:
        """A text with marks that the vocabulary has in the place of those that it lacks."""
        return text.translate(self._folds) if self._folds else text

    def ids(self, text: str) -> Sequence[int]:
        """The tokens of a text."""
        return self.tokens([text])[0]

    def spelled(self, text: str) -> list[Span]:
        """The words in capitals that have to be spelled: they are no words to the model."""
        found = list(_CAPITALS.finditer(text))
        if not found:
            return []
        others = _CAPITALS.sub("", text)
        ids = self.tokens([others, *(match[0] for match in found)])
        if 2 * len(ids[0]) > len(others) and any(map(str.isalpha, others)):
            return []  # it spells every word
        return [
            Span(match.start(), match.end(), match[0], "unknown")
            for match, own in zip(found, ids[1:], strict=True)
            if 2 * len(own) > len(match[0])
        ]

    def with_unknown(self, excerpt: Excerpt) -> Excerpt:
        """A stretch whose words and marks that the vocabulary cannot write are spans, too.

        Numbers in such digits, which the model would see, become words, which it does not.
        """
        words = [
            Span(start + match.start(), start + match.end(), match[0], "unknown")
            for start, end in excerpt.between()
            for match in _WORD.finditer(excerpt.text[start:end])
        ]
        found = []
        for word in self._lacking(words):
            runs = [
                Span(word.start + match.start(), word.start + match.end(), match[0], "unknown")
                for match in _RUNS.finditer(word.text)
            ]
            found += self._lacking(runs) or [word]
        hidden = self._lacking([span for span in excerpt.kept if span.kind == "number"])
        kept = [replace(one, kind="word") if one in hidden else one for one in excerpt.kept]
        return Excerpt(excerpt.text, tuple(united(excerpt.text, [*kept, *found])))

    def _lacking(self, spans: Sequence[Span]) -> list[Span]:
        ids = self.tokens([self.folded(span.text) for span in spans]) if spans else []
        return [span for span, own in zip(spans, ids, strict=True) if self.lacks(own)]
