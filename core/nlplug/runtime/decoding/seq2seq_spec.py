"""What the graphs of a text-to-text model say of themselves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from nlplug.runtime.decoding.spec import DecoderSpec

SEQ2SEQ_KEY = "nlplug.seq2seq"
"""Where the metadata of the decoder's graph hold the description."""

NO_LIMIT = 1_000_000
"""The context of a model whose positions have no end, or are not known."""


@dataclass(frozen=True)
class Seq2SeqSpec(DecoderSpec):
    """The shape of an encoder with its decoder; what `DecoderSpec` has is the decoder's.

    Attributes:
        start: The token that every text of the decoder begins with.
        source_vocabulary: How many tokens a source may have.
        source_context: Most tokens of a source.
        fast: Whether the graphs are in the fast form.
    """

    start: int
    source_vocabulary: int
    source_context: int
    fast: bool

    @cached_property
    def sources(self) -> DecoderSpec:
        """The same with the bounds of sources, to check these."""
        return replace(self, vocabulary=self.source_vocabulary, context=self.source_context)
