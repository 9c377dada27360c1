"""Encodes texts as windows, and decodes the logits of the windows as one label per word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nlplug.data.tags import OUTSIDE
from nlplug.explanations.contract import ExplainableModel, Target, stand_in_of
from nlplug.families.one_pass import Row, softmax, window_stride
from nlplug.families.token_classification.explaining import chosen_entity, entity_target
from nlplug.families.token_classification.options import (
    TaggedWords,
    TokenClassificationInput,
    TokenClassificationOptions,
    WordLabel,
)
from nlplug.families.token_classification.tagged_text import Tags, Tokens, merge, trim
from nlplug.families.token_classification.words import covered, first_tokens, moved, word_numbers
from nlplug.models.bundle import Bundle
from nlplug.runtime.tokenizer import load_tokenizer
from nlplug.text.characters import widen


class TokenClassificationModel(
    ExplainableModel[TokenClassificationInput, TokenClassificationOptions]
):
    """Splits texts into windows, merges the logits of the windows, and labels the words.

    A subclass with another form of answer overrides `answer`.
    """

    token_level = True
    output_rank = 3

    def __init__(self, bundle: Bundle) -> None:
        self._name = bundle.name
        self.labels: list[str] = bundle.labels
        self.output_width = len(self.labels)
        self.first_position = bundle.repository.first_position
        self.pads = not bundle.repository.reads_padding
        self._tokenizer = load_tokenizer(bundle)
        self._has_words = self._tokenizer.knows_words
        bare = None if self._has_words else self._tokenizer.token_id("▁")
        self._bare = -1 if bare is None else bare
        self.pad_token_id = self._tokenizer.pad_token_id
        self.stand_in = stand_in_of(bundle, self._tokenizer)

    def encode(
        self, inputs: Sequence[TokenClassificationInput], options: TokenClassificationOptions
    ) -> list[list[Row]]:
        """Tokenize; a text longer than the model's window becomes several rows."""
        stride = self._stride(options)
        rows = []
        for encoding in self._tokenizer.pieces([item.written()[0] for item in inputs]):
            tokens = Tokens(
                ids=np.array(encoding.ids, dtype=np.int32),
                offsets=np.array(encoding.offsets, dtype=np.int32).reshape(-1, 2),
                words=np.array(encoding.word_ids, dtype=np.float32),
            )
            windows = self._tokenizer.windows(encoding.ids, stride=stride)
            filler = [self.pad_token_id or 0]
            # Without special tokens an empty text has no token; a graph needs at least one.
            rows.append([Row({"input_ids": ids or filler}, meta=tokens) for ids in windows])
        return rows

    def decode(
        self,
        item: TokenClassificationInput,
        rows: Sequence[Row],
        outputs: Sequence[Mapping[str, np.ndarray]],
        options: TokenClassificationOptions,
    ) -> Any:
        """The result of `answer`; an empty list if the text has no tokens."""
        tokens: Tokens = rows[0].meta
        tagged = bool(item.words) and options.word_tags
        logits = [output["logits"] for output in outputs]
        text, words = item.written()
        if not len(tokens):
            return TaggedWords(answer=[], tags=[OUTSIDE] * len(words)) if tagged else []
        before, behind = self._tokenizer.text_frame
        own = [values[len(before) : len(values) - len(behind)] for values in logits]
        starts, ends = widen(text, *trim(text, tokens.offsets))
        given = bool(item.words) and not tagged
        known = tokens.words if self._has_words else None
        tags = Tags(
            text=text,
            first=len(before),
            starts=starts,
            ends=ends,
            unknown=tokens.ids == self._tokenizer.unk_token_id,
            bare=tokens.ids == self._bare,
            words=word_numbers(words, starts) if given else known,
            scores=softmax(merge(own, self._stride(options))),
        )
        answer = self.answer(tags, options)
        if options.min_score:
            answer = [one for one in answer if one["score"] >= options.min_score]
        if tagged:
            return TaggedWords(answer=answer, tags=self._word_tags(tags, words))
        if not given:
            return answer
        numbered = [{**one, "words": covered(one, words)} for one in answer]
        told, places = item.told()
        return numbered if told == text else [moved(one, words, places, told) for one in numbered]

    def _word_tags(self, tags: Tags, words: np.ndarray) -> list[str]:
        firsts = first_tokens(words, tags.starts, tags.ends)
        ids = tags.scores.argmax(axis=1)
        return [self.labels[ids[first]] if first >= 0 else OUTSIDE for first in firsts.tolist()]

    def answer(self, tags: Tags, options: TokenClassificationOptions) -> Any:
        """The answer for one text: each word with the label of its first token.

        Args:
            tags: The tokens of the text with their scores, at least one.
            options: The options of the call.
        """
        firsts = tags.word_starts
        scores = tags.scores[firsts]
        ids = scores.argmax(axis=1)
        starts, ends = tags.spans(firsts)
        ignored = [name in options.ignore_labels for name in self.labels]
        kept = np.flatnonzero(~np.array(ignored)[ids] & (starts < ends))
        best = scores[kept, ids[kept]].tolist()
        columns = (ids, firsts + tags.first, starts, ends)
        return [
            WordLabel(
                entity=self.labels[label],
                score=score,
                index=index,
                word=tags.text[start:end],
                start=start,
                end=end,
            )
            for score, label, index, start, end in zip(
                best, *(column[kept].tolist() for column in columns), strict=True
            )
        ]

    def texts(self, item: TokenClassificationInput) -> dict[str, str]:
        """See `ExplainableModel.texts`."""
        return {"text": item.written()[0]}

    def places(
        self,
        item: TokenClassificationInput,
        rows: Sequence[Row],
        options: TokenClassificationOptions,
    ) -> list[np.ndarray]:
        """See `ExplainableModel.places`."""
        tokens: Tokens = rows[0].meta
        starts, ends = widen(item.written()[0], *trim(item.written()[0], tokens.offsets))
        own = np.stack((np.zeros_like(starts), starts, ends), axis=1)
        before, behind = (np.full((len(part), 3), -1) for part in self._tokenizer.text_frame)
        numbers = self._tokenizer.windows(range(len(tokens)), stride=self._stride(options))
        return [
            np.concatenate((before, own[one[len(before) : len(one) - len(behind)]], behind))
            for one in numbers
        ]

    def target(
        self,
        item: TokenClassificationInput,
        rows: Sequence[Row],
        outputs: Sequence[Mapping[str, np.ndarray]],
        answer: Any,
        options: TokenClassificationOptions,
    ) -> Target | None:
        """The entity of the options, else the one with the highest score."""
        text = item.written()[0]
        found = answer["answer"] if isinstance(answer, Mapping) else answer
        told, places = item.told()
        if told != text:
            found = [moved(one, places, item.written()[1], text) for one in found]
        entity = chosen_entity(text, found, options)
        if entity is None:
            return None
        before, behind = self._tokenizer.text_frame
        return entity_target(
            text,
            entity,
            self.labels,
            rows[0].meta,
            [len(row) - len(before) - len(behind) for row in rows],
            before=len(before),
            stride=self._stride(options),
        )

    def _stride(self, options: TokenClassificationOptions) -> int:
        return window_stride(options, options.stride, self._tokenizer.max_length // 8)
