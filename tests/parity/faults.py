"""What transformers 4.57 does wrong, by the names that the tables use."""

from __future__ import annotations

NER_FAULTS = {
    "cut off": "without stride only the first window of a long text is read",
    "seams": "windows answer each for itself; where they overlap the longer entity wins, so that "
    "entities are cut, doubled or lost there",
    "words": "first, average, max: what counts as a word is guessed from spaces and lengths, so "
    "that punctuation counts to its neighbor, a Chinese sentence is one word and an accent makes "
    "a word part of the one before (huggingface/transformers#27876, #23322)",
    "characters": "simple: an entity begins or ends within a character that is several tokens",
    "spaces": "the space before a word counts to it (byte-level BPE, Unigram)",
    "marks": "an entity or a token begins or ends within a character of several code points: "
    "before an accent that the tokenizer drops, between the parts of an emoji",
}
"""Faults of the token-classification pipeline."""

QA_FAULTS = {
    "first place": "of answers with the same text the first place found is told, not the best",
    "cut words": "a word at the border of a window is answered in part, in spite of align_to_words",
    "nothing": "[CLS] or the question fills up the n best, as empty answers that score 0",
    "spaces": "the space before a word counts to it, and the same answer is told twice",
    "marks": "an answer begins or ends within a character of several code points: before an accent "
    "that the tokenizer drops, between the parts of an emoji",
}
"""Faults of the question-answering pipeline."""

NEAR_TIES = {
    "near ties": "no fault: two tokens or beams whose scores differ by less than 0.0001, which "
    "float32 puts in another order where it sums in another",
}
"""Why texts that are generated may differ."""

FAULTS = {"ner": NER_FAULTS, "qa": QA_FAULTS, "generation": NEAR_TIES}
"""By task."""
