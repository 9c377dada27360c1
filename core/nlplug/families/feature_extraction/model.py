"""Encodes texts, and returns the hidden states of their tokens or their mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from nlplug.errors import BundleError
from nlplug.families.feature_extraction.options import FeatureInput, FeatureOptions, Pool
from nlplug.families.one_pass import Row, TaskModel
from nlplug.families.truncation import cut_to, room_of
from nlplug.models.bundle import Bundle
from nlplug.runtime.tokenizer import load_tokenizer

_HIDDEN = "last_hidden_state"
_OFFERED: Mapping[str, Pool] = {"mean": "mean", "cls": "cls"}
"""By the name in the files of sentence-transformers."""


class FeatureModel(TaskModel[FeatureInput, FeatureOptions]):
    """The hidden states of an encoder.

    Args:
        bundle: A bundle of an encoder without a head.
    """

    required_outputs: ClassVar[frozenset[str]] = frozenset({_HIDDEN})
    token_level: ClassVar[bool] = True
    output_rank: ClassVar[int | None] = 3
    # A text has one number per token and hidden unit: this bounds what waits for its turn.
    largest_chunk: int = 64

    def __init__(self, bundle: Bundle) -> None:
        self._name = bundle.name
        self._tokenizer = load_tokenizer(bundle, offsets=False)
        self.pad_token_id = self._tokenizer.pad_token_id
        self.first_position = bundle.repository.first_position
        self.pads = not bundle.repository.reads_padding
        self._repository = bundle.repository

    def encode(self, inputs: Sequence[FeatureInput], options: FeatureOptions) -> list[list[Row]]:
        """Tokenize; each text is one row.

        Raises:
            InputError: A text is too long and may not be truncated.
            BundleError: ``pool`` is ``auto``, and the model makes vectors in another way.
        """
        found = self._tokenizer.pieces([item.text for item in inputs])
        pool = self._pool() if options.pool == "auto" else options.pool
        return [[self._row(one.ids, pool, options)] for one in found]

    def condense(self, row: Row, outputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """The hidden states: (tokens, hidden), or (hidden,) with pooling; float32."""
        states = outputs[_HIDDEN].astype(np.float32, copy=False)
        pool: Pool = row.meta
        if pool == "mean":
            return {_HIDDEN: states.mean(axis=0)}
        return {_HIDDEN: states[0].copy() if pool == "cls" else states}

    def decode(
        self,
        item: FeatureInput,
        rows: Sequence[Row],
        outputs: Sequence[Mapping[str, np.ndarray]],
        options: FeatureOptions,
    ) -> Any:
        """The vectors as nested lists, ``[1][tokens][hidden]``, or ``[hidden]`` with pooling."""
        vectors = outputs[0][_HIDDEN]
        if options.pool == "none":
            vectors = vectors[None]
        elif options.normalize:
            vectors = vectors / max(float(np.linalg.norm(vectors)), np.finfo(np.float32).tiny)
        return vectors.copy() if options.return_tensors else vectors.tolist()

    def _pool(self) -> Pool:
        stated = self._repository.pooling
        if stated is not None and stated not in _OFFERED:
            raise BundleError(
                f"The vectors of {self._name!r} are made by {stated}, which is not supported.",
                hint="pool=mean and pool=cls work, but give other vectors than "
                "sentence-transformers.",
            )
        return _OFFERED[stated or "mean"]

    def _row(self, ids: list[int], pool: Pool, options: FeatureOptions) -> Row:
        before, behind = self._tokenizer.text_frame
        cut = options.truncation
        room = room_of(self._tokenizer, truncation=cut, max_length=options.max_length)
        ids = cut_to(ids, room, self._name, truncation=cut)
        return Row({"input_ids": np.array([*before, *ids, *behind], np.int64)}, pool)
