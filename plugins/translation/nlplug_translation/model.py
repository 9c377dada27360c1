"""The task bound to a model: texts cut to sentences, sentences to sources, and back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nlplug.errors import BundleError
from nlplug.families.seq2seq import Part, Segment, Seq2SeqModel, Seq2SeqOptions
from nlplug.text.language import guess
from nlplug.text.language_codes import base
from nlplug_translation.invisible import without_halves
from nlplug_translation.languages import Languages
from nlplug_translation.layout import Piece, lay_out
from nlplug_translation.markup import MarkupPiece, markup_pieces, restored
from nlplug_translation.protected import compiled
from nlplug_translation.segments import Writer
from nlplug_translation.vocabulary import Vocabulary, lacking_ids

if TYPE_CHECKING:
    from nlplug.models.bundle import Bundle
    from nlplug.runtime.decoding.options import DecodingOptions
    from nlplug_translation.options import TranslationOptions


class TranslationModel(Seq2SeqModel):
    """Translates with one bundle.

    Args:
        bundle: A text-to-text model.

    Raises:
        BundleError: Its tokenizer cannot be used, or no token ends a text.
    """

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle, "translation")
        if not any(0 <= token < self.target.size for token in self.ends):
            raise BundleError(
                f"No token of the model {bundle.name!r} ends a translation: eos_token_id is "
                "missing or not in the vocabulary.",
                hint="Correct eos_token_id in generation_config.json or config.json.",
            )
        self.languages = Languages.of(bundle, self.tokenizer)
        self.vocabulary = Vocabulary(self.tokens, lacking_ids(self.tokenizer))

    def parts(self, item: Any, options: TranslationOptions) -> list[Part]:
        """The sentences of a text, and the text between them."""
        named, text = self.languages.marked(item.text, options.tgt_lang)
        target = self.languages.target(named, options.src_lang)
        markup = options.tag_handling == "html"
        pieces = markup_pieces(text, target) if markup else [MarkupPiece(text, str)]
        plain = " ".join(piece.text for piece in pieces if piece.restore) if markup else text
        patterns = [compiled(pattern) for pattern in options.protect_patterns]
        room = self.tokenizer.max_length
        truncate = options.truncation != "do_not_truncate"
        checked = options.sentences and options.protect and not truncate
        writer = Writer(
            vocabulary=self.vocabulary,
            route=self.languages.route(self._source(plain, options), target),
            room=room,
            limit=min(options.max_new_tokens, self.positions() or options.max_new_tokens),
            best=options.best_length if checked else room,
            target_unknown=self.target.unk_token_id,
            patterns=patterns,
            protect=options.protect,
            truncate=truncate,
            language=base(target) if target else None,
        )
        parts: list[Part] = []
        for piece in pieces:
            if piece.restore is None:
                parts.append(piece.text)
            elif markup:
                own = self._sentences(piece.text, writer, options)
                parts += [restored(part, piece.restore) for part in own]
            else:
                parts += self._sentences(piece.text, writer, options)
        return parts

    def _sentences(self, text: str, writer: Writer, options: TranslationOptions) -> list[Part]:
        """The sentences of a text without markup, and the text between them."""
        parts: list[Part] = []
        pieces = lay_out(
            text, split=options.sentences, protect=options.protect, patterns=writer.patterns
        )
        shown = [piece.translate for piece in pieces]
        texts = without_halves([piece.text for piece in pieces], shown)
        pieces = [replace(piece, text=text) for piece, text in zip(pieces, texts, strict=True)]
        last: list[Part] = []
        for before, piece, after in _neighbors(pieces):
            if piece.translate:
                own = writer.parts(piece.text)
                # Between two sentences that stay as they are there is nothing to separate.
                written = any(isinstance(part, Segment) for part in [*last, *own])
                if writer.spaced and written and before and before.translate:
                    parts.append(" ")
                parts += own
                last = own
            elif writer.spaced or not (piece.text == " " and before and after):
                parts.append(piece.text)
        return parts

    def decoding(self, options: Seq2SeqOptions, **more: Any) -> DecodingOptions:
        """See `Seq2SeqModel.decoding`; of some models an answer begins with its language."""
        wanted: Any = options
        if self.languages.codes:
            forced = self.languages.forced(self.languages.target(wanted.tgt_lang))
            more = {"forced_bos": forced, **more}
        return super().decoding(options, **more)

    def _source(self, text: str, options: TranslationOptions) -> str | None:
        languages = self.languages
        if options.src_lang is not None:
            return languages.source(options.src_lang)
        if not languages.needs_source:
            return None
        return guess(text, languages.sources) or languages.sources[0]


def _neighbors(pieces: list[Piece]) -> Iterator[tuple[Piece | None, Piece, Piece | None]]:
    """Each piece between those before and behind it."""
    return zip([None, *pieces], pieces, [*pieces[1:], None], strict=False)
