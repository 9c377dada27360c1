"""Decoding with a graph as Optimum exports it, for architectures without a fast form.

Such a graph answers with its whole cache, one token longer, at every step. The cache stays in ONNX
Runtime's memory from step to step; only a change of rows brings it to numpy.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nlplug.errors import BundleError
from nlplug.runtime.decoding.decoder import check_prompts, check_room, open_session
from nlplug.runtime.decoding.spec import DecoderSpec
from nlplug.runtime.device import onnxruntime

_PAST = re.compile(r"past_key_values\.(\d+)\.(key|value)")
_FLOATS = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class PlainSession:
    """A decoder with ``past_key_values`` in and ``present`` out.

    Args:
        path: The ``.onnx`` file.
        context: Most tokens that positions exist for, from the model's configuration.
        threads: Threads within a step; None for the CPUs that the process may use.

    Raises:
        MissingExtra: No ONNX Runtime is installed.
        BundleError: The file is no decoder with a cache.
        OptionError: ``threads`` is below 1.
    """

    def __init__(self, path: Path, *, context: int, threads: int | None = None) -> None:
        self.session = open_session(path, threads)
        inputs = {item.name: item for item in self.session.get_inputs()}
        outputs = {item.name: item.shape for item in self.session.get_outputs()}
        past = {name: item for name, item in inputs.items() if _PAST.fullmatch(name)}
        presents = {name.replace("past_key_values", "present") for name in past}
        if not past or not presents | {"logits"} <= outputs.keys():
            raise BundleError(
                f"{path} is not a decoder with a cache.",
                hint="Export the model again, for text generation with past.",
            )
        self.inputs = frozenset(inputs)
        first = past["past_key_values.0.key"]
        self.past = tuple(past)
        self.dtype = _FLOATS.get(first.type, np.float32)
        self.spec = DecoderSpec(
            layers=len(past) // 2,
            kv_heads=first.shape[1],
            head_size=first.shape[3],
            vocabulary=outputs["logits"][-1],
            context=context,
            positions="position_ids" in inputs,
        )

    def beginnings(self, prompts: Sequence[Sequence[int]]) -> Sequence[Sequence[int]]:
        """See `Decoder.beginnings`."""
        return prompts

    def start(
        self, prompts: Sequence[Sequence[int]], *, room: int = 0, copies: int = 1
    ) -> PlainDecoding:
        """See `Decoder.start`; ``room`` means nothing here."""
        check_prompts(self.spec, prompts)
        return PlainDecoding(self, prompts, copies=copies)


class PlainDecoding:
    """Rows that grow token by token, padded on the left; see `Decoding`."""

    def __init__(
        self, owner: PlainSession, prompts: Sequence[Sequence[int]], *, copies: int
    ) -> None:
        self._owner = owner
        self.logits: np.ndarray
        self.next_tokens: np.ndarray
        self.lengths = np.array([len(prompt) for prompt in prompts], np.int32)
        spec, longest = owner.spec, int(self.lengths.max())
        ids = np.zeros((len(prompts), longest), np.int64)
        for row, prompt in enumerate(prompts):
            ids[row, longest - len(prompt) :] = prompt
        self._mask = (np.arange(longest) >= longest - self.lengths[:, None]).astype(np.int64)
        empty = np.zeros((len(prompts), spec.kv_heads, 0, spec.head_size), owner.dtype)
        value = onnxruntime().OrtValue.ortvalue_from_numpy(empty)
        self._cache: dict[str, Any] = dict.fromkeys(owner.past, value)
        self._run(ids)
        if copies > 1:
            self._pick(np.repeat(np.arange(len(prompts)), copies))

    @property
    def rows(self) -> int:
        """See `Decoding.rows`."""
        return len(self.lengths)

    def step(self, tokens: np.ndarray) -> None:
        """See `Decoding.step`."""
        check_room(self._owner.spec, int(self.lengths.max()))
        self._mask = np.pad(self._mask, ((0, 0), (0, 1)), constant_values=1)
        self._run(np.asarray(tokens, np.int64)[:, None])
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

    def _run(self, ids: np.ndarray) -> None:
        owner = self._owner
        fresh = ids.shape[1]
        feeds = {
            "input_ids": ids,
            "attention_mask": self._mask,
            "position_ids": np.maximum(self._mask.cumsum(axis=1) - 1, 0)[:, -fresh:],
            # Graphs of two branches, one for the prompt and one for the steps after it.
            "use_cache_branch": np.array([fresh < self._mask.shape[1]]),
        }
        binding = owner.session.io_binding()
        make = onnxruntime().OrtValue.ortvalue_from_numpy
        for name in owner.inputs & feeds.keys():
            binding.bind_ortvalue_input(name, make(np.ascontiguousarray(feeds[name])))
        for name, value in self._cache.items():
            binding.bind_ortvalue_input(name, value)
        for name in ("logits", *self._cache):
            binding.bind_output(name.replace("past_key_values", "present"), "cpu")
        owner.session.run_with_iobinding(binding)
        logits, *cache = binding.get_outputs()
        self.logits = logits.numpy()[:, -1].astype(np.float32, copy=False)
        self.next_tokens = self.logits.argmax(axis=1)
        self._cache = dict(zip(self._cache, cache, strict=True))
