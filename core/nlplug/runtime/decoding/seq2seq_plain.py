"""Text-to-text decoding with graphs as Optimum exports them.

The encoder answers with its hidden states. The decoder makes keys and values of them in its first
step; from then on it answers at every step with its own cache, one token longer. All of this stays
in ONNX Runtime's memory; only a change of rows brings it to numpy.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nlplug.errors import BundleError, OptionError
from nlplug.runtime.decoding.decoder import check_prompts, check_room, open_session
from nlplug.runtime.decoding.seq2seq_spec import NO_LIMIT, SEQ2SEQ_KEY, Seq2SeqSpec
from nlplug.runtime.device import onnxruntime

_PRESENT = re.compile(r"present\.(\d+)\.(decoder|encoder)\.(key|value)")
_STATES = "encoder_hidden_states"
_MASK = "encoder_attention_mask"
_FLOATS = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class PlainSeq2SeqSession:
    """An encoder, and a decoder with ``past_key_values`` in and ``present`` out.

    The decoder may be one file of two branches (``decoder_model_merged``) or two files, of which
    the first (``decoder_model``) is given and the other (``decoder_with_past_model``) lies beside.

    Args:
        encoder: The ``.onnx`` file.
        decoder: The ``.onnx`` file.
        start: The token that texts begin with; None for the one that the decoder's metadata tell.
        context: Most tokens that positions exist for; None for the one of the metadata.
        threads: Threads within a step; None for the CPUs that the process may use.

    Raises:
        MissingExtra: No ONNX Runtime is installed.
        BundleError: The files are no such graphs.
        OptionError: ``threads`` is below 1, or nothing tells the first token.
    """

    def __init__(
        self,
        encoder: Path,
        decoder: Path,
        *,
        start: int | None = None,
        context: int | None = None,
        threads: int | None = None,
    ) -> None:
        self.encoder = open_session(encoder, threads)
        self.first = open_session(decoder, threads)
        outputs = {item.name: item.shape for item in self.first.get_outputs()}
        cache = [name for name in outputs if _PRESENT.fullmatch(name)]
        if not cache or "logits" not in outputs or not _takes(self.encoder, {"input_ids"}):
            raise BundleError(
                f"{encoder} and {decoder} are not an encoder and its decoder with a cache.",
                hint="Export the model again, for text-to-text with past.",
            )
        self.merged = _takes(self.first, {"use_cache_branch"})
        self.next = self.first if self.merged else open_session(_second_file(decoder), threads)
        self.own = tuple(name for name in cache if ".decoder." in name)
        self.cross = tuple(name for name in cache if ".encoder." in name)
        shape = outputs[self.own[0]]
        self.spec = _described(self.first, outputs["logits"][-1], shape, len(self.own) // 2)
        if context is not None:
            self.spec = replace(self.spec, context=context, source_context=context)
        if start is not None:
            self.spec = replace(self.spec, start=start)
        if self.spec.start < 0:
            raise OptionError(
                "Nothing tells the token that the decoder's texts begin with.",
                hint="Give decoder_start_token_id, from the model's generation_config.json.",
            )
        kinds = {item.name: item.type for item in self.first.get_inputs()}
        self.dtype = _FLOATS.get(kinds.get(_STATES, ""), np.float32)
        self.prefix: tuple[int, ...] = (self.spec.start,)

    def beginnings(self, prompts: Sequence[Sequence[int]]) -> Sequence[Sequence[int]]:
        """See `Decoder.beginnings`: the token that starts the decoder."""
        return [self.prefix] * len(prompts)

    def start(
        self, prompts: Sequence[Sequence[int]], *, room: int = 0, copies: int = 1
    ) -> PlainSeq2SeqDecoding:
        """See `Decoder.start`; prompts are sources, and ``room`` means nothing here."""
        check_prompts(self.spec.sources, prompts)
        return PlainSeq2SeqDecoding(self, prompts, copies=copies)

    def states(self, prompts: Sequence[Sequence[int]]) -> tuple[np.ndarray, Any]:
        """Encode; returns the mask of tokens that are there, and the hidden states."""
        longest = max(len(prompt) for prompt in prompts)
        ids = np.zeros((len(prompts), longest), np.int64)
        mask = np.zeros((len(prompts), longest), np.int64)
        for row, prompt in enumerate(prompts):
            ids[row, : len(prompt)] = prompt
            mask[row, : len(prompt)] = 1
        feeds = {"input_ids": ids, "attention_mask": mask}
        make = onnxruntime().OrtValue.ortvalue_from_numpy
        binding = self.encoder.io_binding()
        for item in self.encoder.get_inputs():
            binding.bind_ortvalue_input(item.name, make(feeds[item.name]))
        binding.bind_output(self.encoder.get_outputs()[0].name, "cpu")
        self.encoder.run_with_iobinding(binding)
        return mask, binding.get_outputs()[0]


class PlainSeq2SeqDecoding:
    """Rows that grow token by token; see `Decoding`."""

    def __init__(
        self, owner: PlainSeq2SeqSession, prompts: Sequence[Sequence[int]], *, copies: int
    ) -> None:
        self._owner = owner
        self.logits: np.ndarray
        self.next_tokens: np.ndarray
        self.lengths = np.zeros(len(prompts), np.int32)
        self._mask, states = owner.states(prompts)
        make = onnxruntime().OrtValue.ortvalue_from_numpy
        spec = owner.spec
        empty = make(np.zeros((len(prompts), spec.kv_heads, 0, spec.head_size), owner.dtype))
        self._cache: dict[str, Any] = {
            _STATES: states,
            **dict.fromkeys((*owner.own, *owner.cross), empty),
        }
        for token in owner.prefix:
            self.step(np.full(len(prompts), token))
        if copies > 1:
            self._pick(np.repeat(np.arange(len(prompts)), copies))

    @property
    def rows(self) -> int:
        """See `Decoding.rows`."""
        return len(self.lengths)

    def step(self, tokens: np.ndarray) -> None:
        """See `Decoding.step`."""
        owner, past = self._owner, int(self.lengths.max())
        check_room(owner.spec, past)
        session = owner.next if past else owner.first
        feeds = {
            "input_ids": np.asarray(tokens, np.int64)[:, None],
            "decoder_attention_mask": np.ones((self.rows, past + 1), np.int64),
            "use_cache_branch": np.array([past > 0]),
            _MASK: self._mask,
        }
        binding = session.io_binding()
        make = onnxruntime().OrtValue.ortvalue_from_numpy
        for item in session.get_inputs():
            name = item.name.replace("past_key_values", "present")
            value = self._cache[name] if name in self._cache else make(feeds[name])
            binding.bind_ortvalue_input(item.name, value)
        # Keys and values of the source are computed once; a later step does not tell them.
        asked = ("logits", *owner.own, *(() if past else owner.cross))
        for name in asked:
            binding.bind_output(name, "cpu")
        session.run_with_iobinding(binding)
        made = dict(zip(asked, binding.get_outputs(), strict=True))
        self.logits = made.pop("logits").numpy()[:, -1].astype(np.float32, copy=False)
        self.next_tokens = self.logits.argmax(axis=1)
        self._cache.update(made)
        self.lengths += 1

    def keep(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """See `Decoding.keep`."""
        order = np.asarray(rows)
        self._pick(order)
        return order

    def follow(self, parents: np.ndarray) -> None:
        """See `Decoding.follow`."""
        if (parents != np.arange(len(parents))).any():
            self._pick(parents)

    def _pick(self, rows: np.ndarray) -> None:
        for name in ("lengths", "logits", "next_tokens", "_mask"):
            setattr(self, name, getattr(self, name)[rows])
        make = onnxruntime().OrtValue.ortvalue_from_numpy
        self._cache = {name: make(value.numpy()[rows]) for name, value in self._cache.items()}


def _takes(session: Any, names: set[str]) -> bool:
    return names <= {item.name for item in session.get_inputs()}


def _second_file(decoder: Path) -> Path:
    path = decoder.with_name(decoder.name.replace("decoder_model", "decoder_with_past_model"))
    if path == decoder or not path.is_file():
        raise BundleError(
            f"{decoder} takes no cache, and no decoder_with_past_model lies beside it.",
            hint="Use decoder_model_merged, or have both files in one folder.",
        )
    return path


def _described(decoder: Any, vocabulary: int, cache: Sequence[int], layers: int) -> Seq2SeqSpec:
    """What the metadata tell, or what can be seen from outside."""
    text = decoder.get_modelmeta().custom_metadata_map.get(SEQ2SEQ_KEY)
    if text is not None:
        return Seq2SeqSpec.from_json(text)
    return Seq2SeqSpec(
        layers=layers,
        kv_heads=cache[1],
        head_size=cache[3],
        vocabulary=vocabulary,
        context=NO_LIMIT,
        positions=False,
        start=-1,
        source_vocabulary=NO_LIMIT,
        source_context=NO_LIMIT,
        fast=False,
    )
