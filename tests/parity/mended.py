"""transformers' pipelines with some of their faults mended, one by one.

Each fault has a name. An answer of ours that differs from transformers' is right when transformers
gives it too once all faults are mended, and it differs because of one fault when mending all but
that one does not give it.
"""

from __future__ import annotations

import copy
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import regex
import torch
from transformers import QuestionAnsweringPipeline, TokenClassificationPipeline
from transformers.pipelines.question_answering import select_starts_ends


def mend(pipe: Any, kind: type[Any]) -> Any:
    """The same pipeline as one of the classes below, which mends nothing until told to."""
    other = copy.copy(pipe)
    other.__class__ = kind
    other.mended = frozenset()
    return other


class MendedNer(TokenClassificationPipeline):  # type: ignore[misc]
    """Token classification; ``mended`` holds the names of `NER_FAULTS`."""

    mended: frozenset[str]

    def windows(self, text: str, stride: int | None) -> list[dict[str, Any]]:
        """Each window with its logits; what `postprocess` takes."""
        given = {} if stride is None else {"stride": stride}
        before, _, _ = self._sanitize_parameters(aggregation_strategy="simple", **given)
        begin = 0
        found = []
        for part in self.preprocess(text, **before):
            window = self.forward(part)
            window["begin"] = begin
            begin += len(_own(window)) - (stride or 0)
            found.append(window)
        return found

    def postprocess(
        self, all_outputs: Sequence[dict[str, Any]], **options: Any
    ) -> list[dict[str, Any]]:
        """As ever, the windows joined first."""
        if "seams" in self.mended and len(all_outputs) > 1:
            all_outputs = [_joined(all_outputs)]
        self._text = text = all_outputs[0]["sentence"]
        entities = super().postprocess(list(all_outputs), **options)
        if "spaces" in self.mended:
            places = [_trimmed(text, entity["start"], entity["end"]) for entity in entities]
            entities = [
                {**entity, "start": start, "end": end}
                for entity, (start, end) in zip(entities, places, strict=True)
                if start < end
            ]
        return entities

    def gather_pre_entities(self, *args: Any, **kwargs: Any) -> list[dict[str, Any]]:
        """As ever, with other words."""
        tokens = super().gather_pre_entities(*args, **kwargs)
        strategy = args[5].value
        for token in tokens:
            token["begin"] = token["start"]
            if "marks" in self.mended:
                token["start"], token["end"] = _widened(self._text, token["start"], token["end"])
            token["place"] = _trimmed(self._text, token["start"], token["end"])
            token["bare"] = token["word"] == "▁"
        if strategy in ("first", "average", "max"):
            if "words" in self.mended:
                self._find_words(tokens)
        elif strategy == "simple" and "characters" in self.mended:
            for token, before in _rests(tokens):
                token["scores"] = self._of_kind(token["scores"], before["scores"].argmax())
        return tokens

    def aggregate_word(self, entities: list[dict[str, Any]], strategy: Any) -> dict[str, Any]:
        """As ever; a bare mark of a space has no place."""
        word = super().aggregate_word(entities, strategy)
        return {**word, **self._place(entities, word)}

    def group_sub_entities(self, entities: list[dict[str, Any]]) -> dict[str, Any]:
        """As ever; a bare mark of a space has no place."""
        entity = super().group_sub_entities(entities)
        return {**entity, **self._place(entities, entity)}

    def group_entities(self, entities: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """As ever, but apart for each cell and paragraph."""
        if "cells" not in self.mended:
            return list(super().group_entities(entities))
        ends = _cell_ends(self._text)
        parts: list[list[dict[str, Any]]] = [[]]
        reached = 0
        for entity in entities:
            start = _trimmed(self._text, entity["start"], entity["end"])[0]
            # A bare mark of a space has no place.
            cell = max(reached, sum(end <= start for end in ends))
            if cell > reached:
                parts.append([])
            reached = cell
            parts[-1].append(entity)
        grouped = map(super().group_entities, filter(None, parts))
        return [entity for part in grouped for entity in part]

    def _place(self, parts: list[dict[str, Any]], whole: dict[str, Any]) -> dict[str, Any]:
        if "spaces" not in self.mended:
            return {"start": whole["start"], "end": whole["end"]}
        own = [
            part
            for part in parts
            if part["start"] < part["end"] and part.get("word") != "▁" and not part.get("bare")
        ]
        if not own:
            return {"start": 0, "end": 0, "bare": True}
        return {
            "start": min(part["start"] for part in own),
            "end": max(part["end"] for part in own),
        }

    def _of_kind(self, scores: Any, label: int) -> Any:
        """The best score for labels of the same kind, told for the one that continues it."""
        names = self.model.config.id2label
        kind = names[int(label)].split("-")[-1]
        same = [index for index, name in names.items() if name.split("-")[-1] == kind]
        changed = np.zeros_like(scores)
        changed[max(same)] = scores[same].max()
        return changed

    def _find_words(self, tokens: list[dict[str, Any]]) -> None:
        rests = {id(token) for token, _ in _rests(tokens)}
        tokenizer = self.tokenizer
        known = getattr(tokenizer.backend_tokenizer.model, "continuing_subword_prefix", None)
        begins = set()
        if known:
            whole = _whole(tokenizer, self._text)
            begins = {
                whole.word_to_chars(word)[0] for word in set(whole.word_ids) if word is not None
            }
        for token in tokens:
            if known:
                first = token["begin"] in begins
            else:
                first = begins_word(self._text, token["place"][0]) or (
                    tokenizer.convert_tokens_to_ids(token["word"]) == tokenizer.unk_token_id
                )
            token["is_subword"] = not first or id(token) in rests


def _whole(tokenizer: Any, text: str) -> Any:
    """The encoding of a text of any length."""
    return tokenizer(text, add_special_tokens=False, truncation=False).encodings[0]


def _own(window: Mapping[str, Any]) -> list[int]:
    """The tokens of a window that are neither special nor padding."""
    special = window["special_tokens_mask"][0].tolist()
    return [index for index, flag in enumerate(special) if not flag]


def _joined(windows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One window in place of many, each token from where it stands farthest from an edge."""
    best: dict[int, tuple[float, int, int]] = {}
    for number, window in enumerate(windows):
        own = _own(window)
        for place, index in enumerate(own):
            left = place if number else float("inf")
            right = len(own) - 1 - place if number < len(windows) - 1 else float("inf")
            rank = (min(left, right), -number, index)
            token = window["begin"] + place
            if token not in best or rank[:2] > best[token][:2]:
                best[token] = rank
    front = range(_own(windows[0])[0])
    chosen = [(0, index) for index in front]
    chosen += [(-best[token][1], best[token][2]) for token in sorted(best)]
    joined = {
        name: torch.stack([windows[number][name][0][index] for number, index in chosen])[None]
        for name in ("logits", "input_ids", "offset_mapping", "special_tokens_mask")
    }
    return {**joined, "sentence": windows[0]["sentence"]}


def _cell_ends(text: str) -> list[int]:
    """Where a tab, a form feed, or the last line break of an empty line ends."""
    blank = [
        end
        for end, char in enumerate(text, start=1)
        if char == "\n"
        and not text[: end - 1].rpartition("\n")[2].strip()
        and "\n" in text[: end - 1]
    ]
    return blank + [end for end, char in enumerate(text, start=1) if char in "\t\v\f\u2029"]


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


def _widened(text: str, start: int, end: int) -> tuple[int, int]:
    """With the whole of the characters at both ends."""
    if start == end:
        return start, end
    edges = _edges(text)
    return max(edge for edge in edges if edge <= start), min(edge for edge in edges if edge >= end)


@lru_cache(maxsize=16)
def _edges(text: str) -> tuple[int, ...]:
    return (0, *(match.end() for match in regex.finditer(r"\X", text)))


def _rests(tokens: Iterable[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The tokens that are the rest of a character, each with the token that began it."""
    found = []
    reached, owner = 0, None
    for token in tokens:
        start, end = token["place"]
        if owner is not None and start < reached:
            found.append((token, owner))
        else:
            owner = token
        if not token["bare"]:
            reached = max(reached, end)
    return found


def begins_word(text: str, place: int) -> bool:
    """Whether a word begins at a place.

    A word is a run of letters and digits, or of other characters save spaces; a separator between
    two digits belongs to the number, a mark to its base; and in scripts that are written without
    spaces each character may begin one.
    """
    if place in (0, len(text)):
        return True
    before, here = _kind(text, place - 1), _kind(text, place)
    if "space" in (before, here):
        return True
    return not _mark(text[place]) and (before != here or here == "ideograph")


def _kind(text: str, place: int) -> str:
    first = _plain_kind(text, place)
    between = 0 < place < len(text) - 1 and first == "other"
    if between and _plain_kind(text, place - 1) == _plain_kind(text, place + 1) == "digit":
        return "letter"
    return "letter" if first == "digit" else first


def _plain_kind(text: str, place: int) -> str:
    while place and _mark(text[place]):
        place -= 1
    character = text[place]
    if character.isspace():
        return "space"
    if _mark(character):
        return "mark"
    name = unicodedata.name(character, "")
    if name.startswith(("CJK ", "HIRAGANA", "KATAKANA", "THAI", "LAO ", "MYANMAR", "KHMER")):
        return "ideograph" if character.isalnum() else "other"
    if not character.isalnum():
        return "other"
    return "digit" if character.isdigit() else "letter"


def _mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")


class MendedQa(QuestionAnsweringPipeline):  # type: ignore[misc]
    """Question answering; ``mended`` holds the names of `QA_FAULTS`."""

    mended: frozenset[str]

    def windows(self, question: str, context: str, **options: Any) -> list[dict[str, Any]]:
        """Each window with its logits; what `best` takes."""
        before, _, _ = self._sanitize_parameters(**options)
        example = self.create_sample(question=question, context=context)
        return [self.forward(part) for part in self.preprocess(example, **before)]

    def best(
        self,
        windows: Sequence[Mapping[str, Any]],
        *,
        top_k: int = 1,
        handle_impossible_answer: bool = False,
        max_answer_len: int = 15,
        align_to_words: bool = True,
    ) -> list[dict[str, Any]]:
        """What `postprocess` does, as a list."""
        text = windows[0]["example"].context_text
        whole = _whole(self.tokenizer, text)
        nothing = 1000000.0
        found: dict[str, dict[str, Any]] = {}
        for window in windows:
            inner = window["encoding"]
            starts, ends, scores, nothing = select_starts_ends(
                window["start"].numpy(),
                window["end"].numpy(),
                window["p_mask"].numpy(),
                window["attention_mask"].numpy(),
                nothing,
                top_k * 2 + 10 if align_to_words else top_k,
                handle_impossible_answer,
                max_answer_len,
            )
            for first, last, score in zip(starts, ends, scores.tolist(), strict=True):
                if "nothing" in self.mended and inner.sequence_ids[first] != 1:
                    continue
                start, end = self.get_indices(inner, first, last, 1, align_to_words)
                seen = _widened(text, start, end) if "marks" in self.mended else (start, end)
                key = text[slice(*seen)].lower()
                if "cut words" in self.mended and align_to_words:
                    start, end = _whole_words(whole, start, end)
                if "marks" in self.mended:
                    start, end = _widened(text, start, end)
                place = {"score": score, "best": score, "start": start, "end": end}
                known = found.setdefault(key, place)
                if known is not place:
                    known["score"] += score
                    if score > known["best"] and "first place" in self.mended:
                        known.update(best=score, start=start, end=end)
        answers = sorted(found.values(), key=lambda answer: -answer["score"])
        if "spaces" in self.mended:
            answers = _once(text, answers)
        if handle_impossible_answer:
            answers.append({"score": nothing, "start": 0, "end": 0})
        return sorted(answers, key=lambda answer: -answer["score"])[:top_k]


def _whole_words(whole: Any, start: int, end: int) -> tuple[int, int]:
    """Widened to the words of the whole context, where the tokenizer has any there."""
    words = [word for place in (start, end - 1) if (word := whole.char_to_word(place)) is not None]
    places = [whole.word_to_chars(word) for word in words]
    return min([start, *(one for one, _ in places)]), max([end, *(one for _, one in places)])


def _once(text: str, answers: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without spaces around, and the same text once."""
    kept: dict[str, dict[str, Any]] = {}
    for answer in answers:
        start, end = _trimmed(text, answer["start"], answer["end"])
        if start < end:
            kept.setdefault(text[start:end].lower(), {**answer, "start": start, "end": end})
    return list(kept.values())
