"""Text-to-text decoding with graphs as Optimum exports them.

The encoder returns its hidden states. The decoder computes keys and values of them in its first
step; later steps only read these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nlplug.errors import BundleError, OptionError
from nlplug.runtime.decoding.decoder import (
    NO_LIMIT,
    EncoderDecoderSpec,
    check_prompts,
    check_room,
    padded,
)
from nlplug.runtime.decoding.plain import (
    FLOATS,
    PlainDecoding,
    PlainGraph,
    cache_sizes,
    empty_cache,
)
from nlplug.runtime.decoding.sessions import open_session

_STATES = "encoder_hidden_states"
_ENCODER_INPUTS = {"input_ids", "attention_mask"}
_DECODER_INPUTS = {
    "input_ids",
    "decoder_attention_mask",
    "encoder_attention_mask",
    "use_cache_branch",
    _STATES,
}


class PlainEncoderDecoder:
    """A text-to-text model whose graphs are plain; made by `open_encoder_decoder`.

    The decoder may be one file with two branches (``decoder_model_merged``) or two files: the
    given one (``decoder_model``) and ``decoder_with_past_model`` in the same folder.

    Args:
        encoder: The ``.onnx`` file.
        decoder: The ``.onnx`` file.
        session: The ``InferenceSession`` of ``decoder``.
        spec: The content of the decoder's metadata, if there is any.
        start: The token that texts start with; None for that of ``spec``.
        context: Maximum number of positions of sources and texts; None for that of ``spec``.
        threads: Threads within a step.

    Raises:
        BundleError: The files are no such graphs.
        OptionError: The first token is given nowhere.
    """

    def __init__(
        self,
        encoder: Path,
        decoder: Path,
        session: Any,
        *,
        spec: EncoderDecoderSpec | None,
        start: int | None,
        context: int | None,
        threads: int | None,
    ) -> None:
        self.path = decoder
        key = EncoderDecoderSpec.metadata_key
        self.first = PlainGraph(session, decoder, _DECODER_INPUTS, key)
        self.encoder = PlainGraph(open_session(encoder, threads), encoder, _ENCODER_INPUTS, key)
        outputs = self.first.outputs
        if (
            not self.first.cache
            or "logits" not in outputs
            or "input_ids" not in self.encoder.inputs
        ):
            raise BundleError(
                f"{encoder} and {decoder} are not an encoder and its decoder with a cache.",
                hint="Export the model again, for text-to-text with past.",
            )
        self.next = self.first
        if "use_cache_branch" not in self.first.inputs:
            path = _second_file(decoder)
            self.next = PlainGraph(open_session(path, threads), path, _DECODER_INPUTS, key)
        self.own = tuple(name for name in self.first.cache if ".decoder." in name)
        self.dtype = FLOATS.get(self.first.types.get(_STATES, ""), np.float32)
        sizes = cache_sizes(outputs[self.own[0]], outputs["logits"], decoder)
        self.spec = spec or EncoderDecoderSpec(
            layers=len(self.own) // 2,
            **sizes,
            context=NO_LIMIT,
            positions=False,
            start=-1,
            source_vocabulary=NO_LIMIT,
            source_context=NO_LIMIT,
            fast=False,
        )
        if context is not None:
            self.spec = replace(self.spec, context=context, source_context=context)
        if start is not None:
            self.spec = replace(self.spec, start=start)
        if self.spec.start < 0:
            raise OptionError(
                "The token that the decoder's texts start with is unknown.",
                hint="Give decoder_start_token_id, from the model's generation_config.json.",
            )

    def decoder_prompts(self, prompts: Sequence[Sequence[int]]) -> Sequence[Sequence[int]]:
        """See `Decoder.decoder_prompts`: the start token."""
        return [(self.spec.start,)] * len(prompts)

    def start(
        self, prompts: Sequence[Sequence[int]], *, room: int = 0, copies: int = 1
    ) -> PlainCrossDecoding:
        """See `Decoder.start`; prompts are sources, and ``room`` has no effect here."""
        check_prompts(self.spec.sources, prompts)
        return PlainCrossDecoding(self, prompts, copies=copies)

    def encode(self, prompts: Sequence[Sequence[int]]) -> tuple[np.ndarray, Any]:
        """Read sources; returns the attention mask and the hidden states."""
        mask = padded([[1] * len(prompt) for prompt in prompts])
        feeds = {"input_ids": padded(prompts), "attention_mask": mask}
        session = self.encoder.session
        binding = session.io_binding()
        values = {name: self.encoder.value(name, feeds[name]) for name in self.encoder.inputs}
        for name, value in values.items():
            binding.bind_ortvalue_input(name, value)
        binding.bind_output(next(iter(self.encoder.outputs)), "cpu")
        session.run_with_iobinding(binding)
        return mask, binding.get_outputs()[0]


class PlainCrossDecoding(PlainDecoding):
    """Rows of equal length, each with its own source.

    The first step computes keys and values of the source; later steps only read them.
    """

    def __init__(
        self, owner: PlainEncoderDecoder, prompts: Sequence[Sequence[int]], *, copies: int
    ) -> None:
        self._owner = owner
        mask, states = owner.encode(prompts)
        rows = len(prompts)
        empty = empty_cache(owner.spec, rows, owner.dtype)
        values = {_STATES: states, **dict.fromkeys(owner.first.cache, empty)}
        super().__init__(owner.spec, np.zeros(rows, np.int32), mask, values)
        self.step(np.full(rows, owner.spec.start))
        if copies > 1:
            self.select(np.repeat(np.arange(rows), copies))

    def step(self, tokens: np.ndarray) -> None:
        """See `Decoding.step`."""
        owner, past = self._owner, int(self.lengths.max())
        check_room(self._spec, past)
        feeds = {
            "input_ids": np.asarray(tokens, np.int64)[:, None],
            "decoder_attention_mask": np.ones((self.rows, past + 1), np.int64),
            "use_cache_branch": np.array([past > 0]),
            "encoder_attention_mask": self._mask,
        }
        if past:
            self.run(owner.next, feeds, owner.own)
        else:
            self.run(owner.first, feeds, owner.first.cache)
        self.lengths += 1


def _second_file(decoder: Path) -> Path:
    path = decoder.with_name(decoder.name.replace("decoder_model", "decoder_with_past_model"))
    if path == decoder or not path.is_file():
        raise BundleError(
            f"{decoder} takes no cache, and its folder has no decoder_with_past_model.",
            hint="Use decoder_model_merged, or put both files into one folder.",
        )
    return path
