"""Decoding with graphs as Optimum exports them, for architectures without a fast form.

Such a graph returns its whole cache, one token longer, at every step. The cache stays in the
memory of ONNX Runtime from step to step; only a change of rows copies it to numpy.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nlplug.errors import BundleError
from nlplug.runtime.decoding.decoder import (
    DecoderSpec,
    check_prompts,
    check_room,
    padded,
)
from nlplug.runtime.decoding.ranking import Ranking
from nlplug.runtime.device import onnxruntime

_CACHE = re.compile(r"present\.\d+\.(?:(?:decoder|encoder)\.)?(?:key|value)")
FLOATS = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_FED = {**FLOATS, "tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(bool)": np.bool_}
_CAUSAL_INPUTS = {
    "input_ids",
    "attention_mask",
    "position_ids",
    "use_cache_branch",
    "num_logits_to_keep",
}


class PlainGraph:
    """A graph with ``past_key_values`` as inputs and ``present`` as outputs, or an encoder.

    Args:
        session: Its ``InferenceSession``.
        path: The file, for messages.
        known: The inputs other than the cache that decoding can fill.
        metadata: The key whose value describes a fast graph, for messages.

    Attributes:
        inputs: From the names of the inputs to the names under which decoding holds their values:
            ``past_key_values.0.key`` is held as ``present.0.key``.
        types: The element types of the inputs, by the same names as in ``inputs``.
        outputs: From the names of the outputs to their shapes.
        cache: The names of the outputs that are cache.

    Raises:
        BundleError: The graph has an input that decoding cannot fill.
    """

    def __init__(self, session: Any, path: Path, known: set[str], metadata: str) -> None:
        self.session = session
        self.types = {item.name: item.type for item in session.get_inputs()}
        self.inputs = {name: name.replace("past_key_values", "present") for name in self.types}
        self.outputs = {item.name: item.shape for item in session.get_outputs()}
        self.cache = tuple(name for name in self.outputs if _CACHE.fullmatch(name))
        unknown = [
            name
            for name, held in self.inputs.items()
            if name not in known and not _CACHE.fullmatch(held)
        ]
        if unknown:
            raise BundleError(
                f"{path} has inputs that decoding cannot fill: {', '.join(sorted(unknown))}. Its "
                f"metadata lack the entry {metadata!r}, so it was read as an export of Optimum.",
                hint="Export the model again with `nlplug export`.",
            )
        for item in session.get_inputs():
            fixed = [size for size in item.shape[:2] if isinstance(size, int)]
            if item.name in known and len(item.shape) == 2 and fixed:
                raise BundleError(
                    f"{path} fixes the shape of {item.name} to {item.shape}; decoding needs any "
                    "number of rows and tokens.",
                    hint="Export the model again with `nlplug export`.",
                )
            if item.type not in _FED:
                raise BundleError(
                    f"{path} has the input {item.name} of the type {item.type}.",
                    hint="Export the model again with `nlplug export`.",
                )

    def value(self, name: str, array: np.ndarray) -> Any:
        """The value of an input, in its type, in memory of ONNX Runtime."""
        made: np.ndarray = np.ascontiguousarray(array, _FED[self.types[name]]).reshape(array.shape)
        return onnxruntime().OrtValue.ortvalue_from_numpy(made)


class PlainDecoder:
    """A causal model whose graph is plain; made by `open_decoder`.

    Args:
        session: The ``InferenceSession``.
        path: The file, for messages.
        context: Maximum number of positions, from the model's configuration.

    Raises:
        BundleError: The graph is no decoder with a cache.
    """

    def __init__(self, session: Any, path: Path, *, context: int) -> None:
        self.path = path
        self.graph = graph = PlainGraph(session, path, _CAUSAL_INPUTS, DecoderSpec.metadata_key)
        past = [item for item in session.get_inputs() if item.name not in _CAUSAL_INPUTS]
        held = {graph.inputs[item.name] for item in past}
        if not past or not held | {"logits"} <= graph.outputs.keys():
            raise BundleError(
                f"{path} is not a decoder with a cache.",
                hint="Export the model again, for text generation with past.",
            )
        self.dtype = FLOATS.get(past[0].type, np.float32)
        self.spec = DecoderSpec(
            layers=len(past) // 2,
            **cache_sizes(past[0].shape, graph.outputs["logits"], path),
            context=context,
            positions="position_ids" in graph.inputs,
        )

    def decoder_prompts(self, prompts: Sequence[Sequence[int]]) -> Sequence[Sequence[int]]:
        """See `Decoder.decoder_prompts`."""
        return prompts

    def start(
        self, prompts: Sequence[Sequence[int]], *, room: int = 0, copies: int = 1
    ) -> PlainCausalDecoding:
        """See `Decoder.start`; ``room`` has no effect here."""
        check_prompts(self.spec, prompts)
        return PlainCausalDecoding(self, prompts, copies=copies)


class PlainDecoding:
    """Base of decodings with a plain graph; see `Decoding`.

    Args:
        spec: The shape of the decoder.
        lengths: Number of tokens of each row in the cache, int32 of shape (rows,).
        mask: The attention mask of the prompts or sources, int64 of shape (rows, tokens).
        values: Tensors by name that a step reads, and replaces if the graph returns them.
    """

    logits: np.ndarray
    next_tokens: np.ndarray

    def __init__(
        self, spec: DecoderSpec, lengths: np.ndarray, mask: np.ndarray, values: dict[str, Any]
    ) -> None:
        self._spec = spec
        self._mask = mask
        self._values = values
        self.lengths = lengths

    @property
    def rows(self) -> int:
        """See `Decoding.rows`."""
        return len(self.lengths)

    @property
    def sound(self) -> np.ndarray:
        """See `Decoding.sound`: to ``argmax`` NaN is the largest number."""
        sound: np.ndarray = np.isfinite(self.logits[np.arange(self.rows), self.next_tokens])
        return sound

    @property
    def ranking(self) -> Ranking | None:
        """See `Decoding.ranking`: None, a plain graph does not rank."""
        return None

    def rank(self, count: int) -> bool:
        """See `Decoding.rank`."""
        return False

    def close(self) -> None:
        """See `Decoding.close`."""

    def keep(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """See `Decoding.keep`."""
        order = np.asarray(rows)
        self.select(order)
        return order

    def follow(self, parents: np.ndarray) -> None:
        """See `Decoding.follow`."""
        if (parents != np.arange(len(parents))).any():
            self.select(parents)

    def select(self, rows: np.ndarray) -> None:
        """Continue with these rows, in this order; a row may occur several times."""
        self.lengths = self.lengths[rows]
        self.logits = self.logits[rows]
        self.next_tokens = self.next_tokens[rows]
        self._mask = self._mask[rows]
        make = onnxruntime().OrtValue.ortvalue_from_numpy
        self._values = {name: make(value.numpy()[rows]) for name, value in self._values.items()}

    def run(self, graph: PlainGraph, feeds: dict[str, np.ndarray], cache: Sequence[str]) -> None:
        """Run the graph once.

        Args:
            graph: The graph.
            feeds: Values of the inputs that are not among the held tensors, by name.
            cache: The outputs to hold for the next step.
        """
        binding = graph.session.io_binding()
        values = {}  # a bound value is only a pointer: the arrays must live until the run ends
        for name, held in graph.inputs.items():
            value = self._values.get(held)
            values[name] = graph.value(name, feeds[name]) if value is None else value
            binding.bind_ortvalue_input(name, values[name])
        for name in ("logits", *cache):
            binding.bind_output(name, "cpu")
        graph.session.run_with_iobinding(binding)
        # A session that records activations binds further outputs after these.
        logits, *made = binding.get_outputs()[: 1 + len(cache)]
        self.logits = logits.numpy()[:, -1].astype(np.float32, copy=False)
        self.next_tokens = self.logits.argmax(axis=1)
        self._values.update(zip(cache, made, strict=True))


class PlainCausalDecoding(PlainDecoding):
    """Rows of a causal model, padded on the left."""

    def __init__(
        self, owner: PlainDecoder, prompts: Sequence[Sequence[int]], *, copies: int
    ) -> None:
        self._graph = owner.graph
        lengths = np.array([len(prompt) for prompt in prompts], np.int32)
        mask = padded([[1] * len(prompt) for prompt in prompts], left=True)
        empty = empty_cache(owner.spec, len(prompts), owner.dtype)
        super().__init__(owner.spec, lengths, mask, dict.fromkeys(owner.graph.cache, empty))
        self._run(padded(prompts, left=True))
        if copies > 1:
            self.select(np.repeat(np.arange(len(prompts)), copies))

    def step(self, tokens: np.ndarray) -> None:
        """See `Decoding.step`."""
        check_room(self._spec, int(self.lengths.max()))
        self._mask = np.pad(self._mask, ((0, 0), (0, 1)), constant_values=1)
        self._run(np.asarray(tokens, np.int64)[:, None])
        self.lengths += 1

    def _run(self, ids: np.ndarray) -> None:
        new = ids.shape[1]
        feeds = {
            "input_ids": ids,
            "attention_mask": self._mask,
            "position_ids": np.maximum(self._mask.cumsum(axis=1) - 1, 0)[:, -new:],
            # Merged graphs have two branches, for the prompt and for the steps after it.
            "use_cache_branch": np.array([new < self._mask.shape[1]]),
            "num_logits_to_keep": np.array(0),  # all
        }
        self.run(self._graph, feeds, self._graph.cache)


def cache_sizes(cache: Sequence[Any], logits: Sequence[Any], path: Path) -> dict[str, int]:
    """The sizes that a graph declares, as `DecoderSpec` calls them.

    Args:
        cache: Shape of a key or value: (rows, heads, tokens, head size).
        logits: Shape of the logits.
        path: The file, for the message.

    Raises:
        BundleError: A size is not declared.
    """
    declared = {
        "kv_heads": cache[1] if len(cache) == 4 else None,
        "head_size": cache[3] if len(cache) == 4 else None,
        "vocabulary": logits[-1] if logits else None,
    }
    found = {name: size for name, size in declared.items() if isinstance(size, int)}
    if len(found) < len(declared):
        missing = ", ".join(name for name in declared if name not in found)
        raise BundleError(
            f"The shapes that {path} declares lack sizes: {missing}.",
            hint="Export the model again with `nlplug export`.",
        )
    return found


def empty_cache(spec: DecoderSpec, rows: int, dtype: Any) -> Any:
    """The value of one cache input before the first step, in memory of ONNX Runtime."""
    shape = (rows, spec.kv_heads, 0, spec.head_size)
    return onnxruntime().OrtValue.ortvalue_from_numpy(np.zeros(shape, dtype))
