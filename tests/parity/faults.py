"""What transformers 4.57 does wrong, by the names that the tables use."""

from __future__ import annotations

NER_FAULTS = {
    "cut off": "without stride only the first window of a long text is read",
    "seams": "each window gives its own entities; where windows overlap, the longer entity wins, "
    "so entities are cut, doubled or lost there",
    "words": "first, average, max: words are guessed from spaces and lengths, so a punctuation "
    "mark belongs to its neighbor, a Chinese sentence is one word, and an accent joins a word to "
    "the one before (huggingface/transformers#27876, #23322)",
    "characters": "simple: an entity begins or ends within a character that consists of several "
    "tokens",
    "spaces": "the space before a word is part of it (byte-level BPE, Unigram)",
    "cells": "an entity goes on after a tab or an empty line, in another cell or paragraph",
    "marks": "an entity or a token begins or ends within a character of several code points: "
    "before an accent that the tokenizer drops, or between the parts of an emoji",
}
"""Faults of the token-classification pipeline."""

QA_FAULTS = {
    "first place": "if several answers have the same text, the first position is returned, not the"
    " best",
    "cut words": "only a part of a word at the border of a window is returned, in spite of "
    "align_to_words",
    "nothing": "[CLS] or the question is among the n best, as empty answers with the score 0",
    "spaces": "the space before a word is part of it, and the same answer is returned twice",
    "marks": "an answer begins or ends within a character of several code points: before an accent"
    " that the tokenizer drops, or between the parts of an emoji",
}
"""Faults of the question-answering pipeline."""

NEAR_TIES = {
    "near ties": "not a fault: the scores of two tokens or beams differ by less than 0.0001, so "
    "another order of float32 sums can exchange them",
}
"""Why texts that are generated may differ."""

FAULTS = {"ner": NER_FAULTS, "qa": QA_FAULTS, "generation": NEAR_TIES}
"""By task."""
