"""Encodes texts with masks, and decodes the logits at the masks as tokens with probabilities."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nlplug.errors import BundleError, InputError, OptionError, warn
from nlplug.families.masked_lm.options import MASKS, Filling, MaskedLMInput, MaskedLMOptions
from nlplug.families.one_pass import Row, TaskModel, softmax
from nlplug.families.truncation import cut_to, room_of
from nlplug.models.bundle import Bundle
from nlplug.runtime.tokenizer import load_tokenizer
from nlplug.text.characters import without_spaces

# A row of logits has one number per token of the vocabulary: these bound the memory, to 128 MB of
# float32 for a batch, and to 64 MB for the masks of a chunk with one mask per text.
_BATCH_NUMBERS = 2**25
_CHUNK_NUMBERS = 2**24


@dataclass(frozen=True)
class Masked:
    """What `MaskedLMModel.decode` needs to know of a row.

    Attributes:
        places: Positions of its masks.
        targets: Ids of the tokens to consider, (targets,); None: all.
    """

    places: np.ndarray
    targets: np.ndarray | None


class MaskedLMModel(TaskModel[MaskedLMInput, MaskedLMOptions]):
    """Predicts the tokens at the masks of a text.

    Args:
        bundle: A bundle of a masked language model.

    Raises:
        BundleError: The tokenizer has no mask token.
    """

    token_level: ClassVar[bool] = True
    output_rank: ClassVar[int | None] = 3

    def __init__(self, bundle: Bundle) -> None:
        self._name = bundle.name
        self._tokenizer = load_tokenizer(bundle, offsets=False)
        self.pad_token_id = self._tokenizer.pad_token_id
        self.first_position = bundle.repository.first_position
        self.pads = not bundle.repository.reads_padding
        stated = bundle.repository.special_tokens.get("mask")
        known = (one for one in (stated, *MASKS) if self._tokenizer.token_id(one) is not None)
        text = next(known, None)
        mask = self._tokenizer.token_id(text)
        if text is None or mask is None:
            raise BundleError(
                f"The tokenizer of {bundle.name!r} has no mask token.",
                hint="Use a masked language model, such as one of BERT or RoBERTa.",
            )
        self.mask_token: str = text
        """The text of the mask token."""
        self._mask = mask
        self._others = re.compile("|".join(re.escape(other) for other in MASKS if other != text))
        self._tidy = bundle.repository.tokenizer_config.get("clean_up_tokenization_spaces") is True
        rows = bundle.config.get("vocab_size")
        known_rows = rows if type(rows) is int else 0
        size = max(self._tokenizer.size, known_rows)
        self.output_least = min(self._tokenizer.size, known_rows) or mask + 1
        self.token_budget = max(1, _BATCH_NUMBERS // size)
        self.largest_chunk = max(1, min(type(self).largest_chunk, _CHUNK_NUMBERS // size))

    def encode(self, inputs: Sequence[MaskedLMInput], options: MaskedLMOptions) -> list[list[Row]]:
        """Tokenize; each text is one row.

        Raises:
            InputError: A text has no mask, or is too long and may not be truncated.
            OptionError: None of the targets has a token.
        """
        targets = self._target_ids(options.targets) if options.targets else None
        texts = [self._others.sub(self._written, item.text) for item in inputs]
        return [[self._row(found.ids, targets, options)] for found in self._tokenizer.pieces(texts)]

    def condense(self, row: Row, outputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """The logits at the masks, (masks, vocabulary)."""
        return {"logits": outputs["logits"][row.meta.places]}

    def decode(
        self,
        item: MaskedLMInput,
        rows: Sequence[Row],
        outputs: Sequence[Mapping[str, np.ndarray]],
        options: MaskedLMOptions,
    ) -> list[Filling] | list[list[Filling]]:
        """The predictions for the mask, best first; of several masks a list of such lists."""
        (row,), (output,) = rows, outputs
        masked: Masked = row.meta
        scores = softmax(output["logits"])
        ids = np.arange(scores.shape[1]) if masked.targets is None else masked.targets
        scores = scores[:, ids[ids < scores.shape[1]]]
        best = np.argsort(-scores, axis=1, kind="stable")[:, : options.top_k]
        single = len(masked.places) == 1
        found = [
            [
                self._filling(row, place, int(ids[index]), float(own[index]), single=single)
                for index in order
            ]
            for place, own, order in zip(masked.places, scores, best, strict=True)
        ]
        return found[0] if single else found

    def _written(self, found: re.Match[str]) -> str:
        return self.mask_token

    def _row(self, ids: list[int], targets: np.ndarray | None, options: MaskedLMOptions) -> Row:
        before, behind = self._tokenizer.text_frame
        cut = options.truncation
        room = room_of(self._tokenizer, truncation=cut, max_length=options.max_length)
        if self._mask not in ids:
            raise InputError(
                f"There is no mask token {self.mask_token!r} in the text.",
                hint=f"Write {self.mask_token} in the place of the word to predict.",
            )
        ids = cut_to(ids, room, self._name, truncation=cut)
        if self._mask not in ids:
            raise InputError(
                f"All masks are behind the first {room} tokens, where the text is cut off.",
                hint="Shorten the text before the mask.",
            )
        whole = np.array([*before, *ids, *behind], dtype=np.int64)
        return Row({"input_ids": whole}, Masked(np.flatnonzero(whole == self._mask), targets))

    def _filling(self, row: Row, place: int, token: int, score: float, *, single: bool) -> Filling:
        filled = [
            token if at == place else int(other)
            for at, other in enumerate(row.features["input_ids"])
        ]
        # As in transformers, where a prediction may be the padding token.
        kept = [one for one in filled if one != self.pad_token_id]
        return Filling(
            score=score,
            token=token,
            token_str=self._text([token]),
            sequence=self._text(kept, skip_special_tokens=single),
        )

    def _text(self, ids: Sequence[int], **how: Any) -> str:
        text = self._tokenizer.decode(ids, **{"skip_special_tokens": False, **how})
        return without_spaces(text) if self._tidy else text

    def _target_ids(self, targets: Sequence[str]) -> np.ndarray:
        found: dict[int, None] = {}
        for target in targets:
            token = self._tokenizer.token_id(target)
            if token is None:
                pieces = self._tokenizer.ids(target)
                if not pieces:
                    warn(f"The target {target!r} has no token and is left out.", UserWarning)
                    continue
                token = pieces[0]
                warn(
                    f"The target {target!r} is not a single token; "
                    f"{self._tokenizer.token_text(token)!r} is used instead.",
                    UserWarning,
                )
            found[token] = None
        if not found:
            raise OptionError(
                f"targets is {list(targets)!r}: none of them has a token.", hint="Give other words."
            )
        return np.array(list(found))
