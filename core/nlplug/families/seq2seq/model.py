"""A text-to-text model's handling of texts: texts in, tokens out, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from nlplug.errors import BundleError, InputError
from nlplug.families.decoding_options import GenerationConfig
from nlplug.families.generation_settings import check_settings
from nlplug.families.seq2seq.options import Seq2SeqOptions
from nlplug.families.vocabulary import check_vocabulary
from nlplug.models.layout import (
    DECODER_GRAPH,
    ENCODER_GRAPH,
    FIRST_DECODER_GRAPH,
    NEXT_DECODER_GRAPH,
    RELATIVE_POSITIONS,
    run_together,
)
from nlplug.runtime.tokenizer import load_target_tokenizer, load_tokenizer
from nlplug.text.characters import without_spaces

if TYPE_CHECKING:
    from pathlib import Path

    from tokenizers import Encoding

    from nlplug.models.bundle import Bundle
    from nlplug.runtime.decoding.decoder import DecoderSpec
    from nlplug.runtime.decoding.options import DecodingOptions
    from nlplug.runtime.decoding.text import Text


@dataclass(frozen=True)
class Written:
    """What the model wrote for one source.

    Attributes:
        text: The text.
        cut: Whether there was no room for its end.
        tokens: Its tokens, the one that ended it included.
    """

    text: str
    cut: bool = False
    tokens: Sequence[int] = ()


Again = Callable[[Sequence["Segment"]], list[list[str]]]
"""Decodes further segments, each in the number of versions that the call asks for."""


@dataclass(frozen=True)
class Segment:
    """A stretch of an answer that the model writes.

    Attributes:
        ids: The source's tokens, with the special ones around them.
        plain: Whether `finished` leaves the model's text as it is, so that it can be given out
            while it comes.
        trims: Whether white space around the model's text is taken off.
    """

    ids: tuple[int, ...]
    plain: ClassVar[bool] = True
    trims: ClassVar[bool] = False

    def finished(self, written: Sequence[Written], again: Again) -> list[str]:
        """The versions of this stretch, from what the model wrote.

        Args:
            written: As many as the call asked for.
            again: For segments that are to be written in the place of this one.
        """
        return [one.text for one in written]

    def accepts(self, written: Written) -> bool:
        """Whether a text without an end is taken as it is, and no other segments take its place."""
        return True

    def at_once(self, written: Written) -> str | None:
        """One version; None if segments are to be written in the place of this one."""
        asked: list[Segment] = []

        def again(more: Sequence[Segment]) -> list[list[str]]:
            asked.extend(more)
            return [[""] for _ in more]

        (text,) = self.finished([written], again)
        return None if asked else text


Part = str | Segment
"""Of an answer: text that stays as it is, or a segment for the model."""


class Seq2SeqModel:
    """A task's text handling with one bundle: texts in, tokens out, and back.

    Args:
        bundle: The model.
        task: Name of the task at the Hub, for what the model's config says of it.

    Raises:
        BundleError: Its tokenizer or its generation settings cannot be used.
    """

    def __init__(self, bundle: Bundle, task: str) -> None:
        self.bundle = bundle
        target = load_target_tokenizer(bundle)
        # With a pair we inspect what each unknown token replaces; see `_ids`.
        self.tokenizer = load_tokenizer(bundle, offsets=target is not None)
        self.target = target or self.tokenizer
        self.generation = GenerationConfig.of(bundle)
        check_settings(self.generation.values, bundle.name)
        own = own_params(bundle, task).get("prefix")
        self.prefix = own if isinstance(own, str) else str(bundle.config.get("prefix") or "")
        if self.room < 1:
            raise BundleError(
                f"The window of {bundle.name!r} has {self.tokenizer.max_length} tokens, and "
                "special tokens leave no room for a text.",
                hint="Correct model_max_length in tokenizer_config.json or "
                "max_position_embeddings in config.json.",
            )

    def parts(self, item: Any, options: Any) -> list[Part]:
        """An answer's parts in their order, one at least.

        Args:
            item: The input.
            options: The options of the call.

        Raises:
            InputError: The text is blank, or longer than the window.
        """
        text: str = item.text
        if not text.strip():
            raise InputError("The text is empty.", hint="Give some words.")
        (ids,) = self.tokens([self.prefix + text])
        return [Segment(self.framed(ids, options))]

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text, without special ones.

        Raises:
            InputError: A text is not valid Unicode.
        """
        return [self._ids(found) for found in self.tokenizer.pieces(texts)]

    def _ids(self, found: Encoding) -> list[int]:
        unknown = self.tokenizer.unk_token_id
        if self.target is self.tokenizer or unknown not in found.ids:
            return list(found.ids)
        # Of a pair of vocabularies, pieces of the other one are hidden behind a space; those that
        # a text has as a whole are meant, as Marian has it.
        return [
            token if token != unknown else self.tokenizer.token_id(f" {text}") or unknown
            for token, text in zip(found.ids, found.tokens, strict=True)
        ]

    @cached_property
    def frame(self) -> tuple[list[int], list[int]]:
        """The special tokens before and behind a source."""
        return self.tokenizer.text_frame

    @property
    def room(self) -> int:
        """Number of tokens that a source may have in addition to the special ones."""
        before, behind = self.frame
        return self.tokenizer.max_length - len(before) - len(behind)

    def framed(
        self,
        ids: Sequence[int],
        options: Seq2SeqOptions,
        frame: tuple[Sequence[int], Sequence[int]] | None = None,
    ) -> tuple[int, ...]:
        """A source as the model takes it.

        Args:
            ids: Its tokens.
            options: Whether it may be cut.
            frame: The special tokens around it; None for the tokenizer's own.

        Raises:
            InputError: It is longer than the window, and may not be cut.
        """
        before, behind = frame or self.frame
        room = self.tokenizer.max_length - len(before) - len(behind)
        if len(ids) > room:
            if options.truncation == "do_not_truncate":
                raise InputError(
                    f"The text has {len(ids)} tokens; the window of {self.bundle.name!r} has room "
                    f"for {room}.",
                    hint="Shorten it, or set truncation='longest_first' to cut off its end.",
                )
            ids = ids[:room]
        return (*before, *ids, *behind)

    def tidied(self, text: str, segment: Segment, options: Seq2SeqOptions) -> str:
        """The model's text as it is given out."""
        text = text.strip() if segment.trims else text
        return without_spaces(text) if options.clean_up_tokenization_spaces else text

    def written(self, made: Text, segment: Segment, options: Seq2SeqOptions) -> Written:
        """What the model wrote for a segment, as `Segment.finished` takes it."""
        return Written(
            self.tidied(made.text, segment, options), made.finish == "length", made.tokens
        )

    def decoding(self, options: Seq2SeqOptions, **more: Any) -> DecodingOptions:
        """The options of a call with the special tokens of the model.

        Args:
            options: Those of the call.
            **more: Other fields of `DecodingOptions`.
        """
        eos = tuple(options.eos_token_id or ()) or self.ends
        return self.generation.decoding(options, self.target, eos=eos, **more)

    @property
    def ends(self) -> tuple[int, ...]:
        """The tokens that end a text, as the files of the model state them."""
        found = self.generation.tokens("eos_token_id")
        return found or GenerationConfig(self.bundle.config).tokens("eos_token_id")

    def start_token(self) -> int | None:
        """The token that each text begins with; None where only the graph may tell.

        As in transformers, ``bos_token_id`` begins texts where the file with the generation
        settings states no other token.
        """
        names = ("decoder_start_token_id", "bos_token_id")
        stated = (
            config.token(name)
            for config in (self.generation, GenerationConfig(self.bundle.config))
            for name in names
        )
        return next((token for token in stated if token is not None), None)

    def positions(self) -> int | None:
        """Tokens that positions exist for, in a source and in a text; None for no limit."""
        config = self.bundle.config
        limit = config.get("max_position_embeddings") or config.get("n_positions")
        endless = config.get("model_type") in RELATIVE_POSITIONS
        return limit if type(limit) is int and limit > 0 and not endless else None

    def check(self, spec: DecoderSpec) -> None:
        """Refuse a tokenizer of another model.

        Raises:
            BundleError: Its size, or its special tokens, are not those of the model.
        """
        check_vocabulary(self.bundle, self.target, spec.vocabulary, needs_end=True)


def graph_files(bundle: Bundle, precision: str) -> tuple[Path, Path]:
    """The encoder and the decoder of a text-to-text model.

    Raises:
        BundleError: The bundle is of another kind, or a graph is missing.
        OptionError: It lacks the precision.
    """
    decoder, *others = run_together(bundle.graphs) or ("",)
    if ENCODER_GRAPH in others and not bundle.precisions:
        found = (f"{name} in {', '.join(bundle.graphs[name])}" for name in (decoder, *others))
        raise BundleError(
            f"The graphs of the model {bundle.name!r} have no common precision: "
            f"{', '.join(found)}.",
            hint="Fetch or export all of them in one precision.",
        )
    if ENCODER_GRAPH in others:
        return bundle.onnx_file(precision, ENCODER_GRAPH), bundle.onnx_file(precision, decoder)
    held = f"it holds {', '.join(sorted(bundle.graphs))}"
    parts = {ENCODER_GRAPH, DECODER_GRAPH, FIRST_DECODER_GRAPH, NEXT_DECODER_GRAPH}
    raise BundleError(
        f"The model {bundle.name!r} lacks a graph of a text-to-text model: {held}."
        if parts & bundle.graphs.keys()
        else f"The model {bundle.name!r} is for another task: it is not a text-to-text model, as "
        f"{held}.",
        hint=f"Such models have {ENCODER_GRAPH}.onnx and {DECODER_GRAPH}.onnx, or "
        f"{ENCODER_GRAPH}.onnx, {FIRST_DECODER_GRAPH}.onnx and {NEXT_DECODER_GRAPH}.onnx.",
    )


def own_params(bundle: Bundle, task: str) -> Mapping[str, Any]:
    """What ``config.json`` says of one task, as T5 and BART have it."""
    params = bundle.config.get("task_specific_params")
    own = params.get(task) if isinstance(params, dict) else None
    return own if isinstance(own, dict) else {}
