"""Text-to-text models: an encoder reads the source once, a decoder writes token by token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nlplug.runtime.decoding.cache import Cache
from nlplug.runtime.decoding.decoder import Decoder, check_prompts, check_room, open_session
from nlplug.runtime.decoding.outputs import Outputs
from nlplug.runtime.decoding.ranking import Ranking
from nlplug.runtime.decoding.seq2seq_plain import PlainSeq2SeqSession
from nlplug.runtime.decoding.seq2seq_spec import SEQ2SEQ_KEY, Seq2SeqSpec
from nlplug.runtime.device import onnxruntime


def open_seq2seq(
    encoder: Path,
    decoder: Path,
    *,
    start: int | None = None,
    context: int | None = None,
    threads: int | None = None,
) -> Decoder:
    """Open the graphs of a text-to-text model, in the fast form or as Optimum exports them.

    The prompts of the decoder that is answered are sources: `generate` and `stream` take their
    token ids, with whatever the tokenizer puts around them, and give the tokens of the text.

    Args:
        encoder: ``encoder_model.onnx``.
        decoder: ``decoder_model_merged.onnx``, or ``decoder_model.onnx`` with
            ``decoder_with_past_model.onnx`` beside it.
        start: The token that texts begin with (``decoder_start_token_id``); None for the one that
            the graph's metadata tell, as those of nlplug's own exports do.
        context: Most tokens that positions exist for, in a source and in a text; None for what
            the metadata tell, or for no limit.
        threads: Threads within a step; None for the CPUs that the process may use.

    Raises:
        MissingExtra: No ONNX Runtime is installed.
        BundleError: The files are no such graphs.
        OptionError: ``threads`` is below 1, or nothing tells the first token.
    """
    session = open_session(decoder, threads)
    described = session.get_modelmeta().custom_metadata_map.get(SEQ2SEQ_KEY)
    if described is not None and (spec := Seq2SeqSpec.from_json(described)).fast:
        if start is not None:
            spec = replace(spec, start=start)
        return Seq2SeqSession(open_session(encoder, threads), session, spec)
    del session
    return PlainSeq2SeqSession(encoder, decoder, start=start, context=context, threads=threads)


class Seq2SeqSession:
    """The fast graphs of a text-to-text model, loaded; made by `open_seq2seq`.

    Args:
        encoder: The session of the encoder's graph.
        decoder: The session of the decoder's graph.
        spec: What the decoder's metadata tell.
    """

    def __init__(self, encoder: Any, decoder: Any, spec: Seq2SeqSpec) -> None:
        self.encoder = encoder
        self.session = decoder
        self.spec = spec
        self.prefix: tuple[int, ...] = (spec.start,)

    def beginnings(self, prompts: Sequence[Sequence[int]]) -> Sequence[Sequence[int]]:
        """See `Decoder.beginnings`: the token that starts the decoder."""
        return [self.prefix] * len(prompts)

    def start(
        self, prompts: Sequence[Sequence[int]], *, room: int = 0, copies: int = 1
    ) -> CrossDecoding:
        """See `Decoder.start`; prompts are sources."""
        check_prompts(self.spec.sources, prompts)
        return CrossDecoding(self, prompts, room=room, copies=copies)

    def encode(self, prompts: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
        """Read sources.

        Returns:
            Their lengths, int32 of shape (sources,), and the keys and values of each layer,
            float32 of shape (2 x layers, sources, heads, tokens, head size).
        """
        spec = self.spec
        lengths = np.array([len(prompt) for prompt in prompts], np.int32)
        ids = np.zeros((len(prompts), int(lengths.max())), np.int64)
        for row, prompt in enumerate(prompts):
            ids[row, : len(prompt)] = prompt
        shape = (2 * spec.layers, len(prompts), spec.kv_heads, ids.shape[1], spec.head_size)
        cross = np.empty(shape, np.float32)
        make = onnxruntime().OrtValue.ortvalue_from_numpy
        binding = self.encoder.io_binding()
        binding.bind_ortvalue_input("input_ids", make(ids))
        binding.bind_ortvalue_input("source_lengths", make(lengths))
        binding.bind_ortvalue_output("cross", make(cross))
        self.encoder.run_with_iobinding(binding)
        return lengths, cross


class CrossDecoding:
    """Rows that grow token by token, each with a source; made by `Seq2SeqSession.start`.

    Rows of one source stand side by side and read it together. All rows are of one length.
    """

    def __init__(
        self, owner: Seq2SeqSession, prompts: Sequence[Sequence[int]], *, room: int, copies: int
    ) -> None:
        self._session = owner.session
        self._spec = owner.spec
        self._binding: Any = None
        self._outputs = Outputs(owner.spec.vocabulary)
        self._source_lengths, self._cross = owner.encode(prompts)
        self._copies = copies
        rows = len(prompts) * copies
        self.lengths, self._filled = np.zeros(rows, np.int32), 0
        self._cache = Cache(self._spec, rows, len(owner.prefix) + room)
        for token in owner.prefix:
            self.step(np.full(rows, token))

    @property
    def rows(self) -> int:
        """How many sequences are decoded."""
        return len(self.lengths)

    @property
    def cache(self) -> Cache:
        """The keys and values of the texts."""
        return self._cache

    @property
    def logits(self) -> np.ndarray:
        """See `Decoding.logits`."""
        return self._outputs.logits

    @property
    def next_tokens(self) -> np.ndarray:
        """See `Decoding.next_tokens`."""
        return self._outputs.next_tokens

    @property
    def ranking(self) -> Ranking | None:
        """See `Ranked`."""
        return self._outputs.ranking

    def rank(self, count: int) -> None:
        """See `Ranked`."""
        if count != self._outputs.count:
            self._outputs.count, self._binding = count, None

    def step(self, tokens: np.ndarray) -> None:
        """See `Decoding.step`."""
        filled = self._filled
        check_room(self._spec, filled)
        if self._cache.reserve(filled + 1, filled) or self._binding is None:
            self._bind()
        self._ids[:, 0] = tokens
        self._total[...] = filled + 1
        self._session.run_with_iobinding(self._binding)
        # The graph reads both as what there is before a step.
        self.lengths += 1
        self._position += 1
        self._filled = filled + 1

    def keep(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """See `Decoding.keep`."""
        order = self._cache.keep(np.asarray(rows), self.lengths)
        sources = order // self._copies
        groups = sources.reshape(-1, self._copies) if len(order) % self._copies == 0 else None
        if groups is not None and (groups == groups[:, :1]).all():
            sources = groups[:, 0]
            moved = np.flatnonzero(sources != np.arange(len(sources)))
            self._cross[:, moved] = self._cross[:, sources[moved]]
            # Those that stay are still one block of memory in each layer.
            self._cross = self._cross[:, : len(sources)]
        else:  # a source has lost some of its rows: from now on each row reads its own copy
            self._cross = self._cross[:, sources]
            self._copies = 1
        self._source_lengths = self._source_lengths[sources]
        self.lengths = self.lengths[order]
        self._outputs.pick(order)
        self._binding = None
        return order

    def follow(self, parents: np.ndarray) -> None:
        """See `Decoding.follow`; a row follows one of the same source."""
        self._cache.follow(parents, self.lengths)

    def _bind(self) -> None:
        """Bind arrays as they lie in memory: what is written to them later, the graph sees."""
        rows, spec = self.rows, self._spec
        self._ids = np.zeros((rows, 1), np.int64)
        self._position = np.full((1, 1), self._filled, np.int64)
        self._total = np.zeros((), np.int32)
        heads = spec.kv_heads * spec.head_size
        feeds: dict[str, np.ndarray] = {
            "input_ids": self._ids,
            "seqlens_k": self.lengths,
            "total_sequence_length": self._total,
            "source_lengths": self._source_lengths,
            "by_source": np.array([len(self._source_lengths), self._copies, heads]),
        }
        if spec.positions:
            feeds["position_ids"] = self._position
        for number, values in enumerate(self._cross):
            feeds[f"cross.{number // 2}.{('key', 'value')[number % 2]}"] = values
        make = onnxruntime().OrtValue.ortvalue_from_numpy
        binding = self._session.io_binding()
        for name, values in feeds.items():
            binding.bind_ortvalue_input(name, make(values))
        self._cache.bind(binding)
        self._outputs.bind(binding, rows)
        self._binding = binding
