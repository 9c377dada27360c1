"""What happens inside a text-to-text model while it reads a source and writes a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nlplug.families.seq2seq.model import Seq2SeqModel
from nlplug.inside.decoding import decoder_layers, encoder_layers
from nlplug.inside.result import AttentionMap, Inside, Request
from nlplug.inside.tokens import neighbors, probabilities, token_texts
from nlplug.runtime.decoding.decoder import Decoder, EncoderDecoderSpec
from nlplug.runtime.decoding.scoring import token_logits


def inside_seq2seq(
    request: Request,
    *,
    files: tuple[Path, Path],
    decoder: Decoder,
    model: Seq2SeqModel,
    sources: Sequence[Sequence[int]],
    number: int,
    text: Sequence[int],
) -> Inside:
    """Look into the model.

    The attention of the decoder is known for graphs in the fast form only.

    Args:
        request: What to look for.
        files: The graphs of encoder and decoder.
        decoder: The model.
        model: Its tokenizers.
        sources: The tokens of all segments of the input.
        number: The index of the segment to look at.
        text: The tokens that the model wrote for it.

    Raises:
        BundleError: A graph does not show what was asked for.
    """
    source, (encoder, graph) = sources[number], files
    tokens = token_texts(model.tokenizer, source)
    found = Inside(tokens, number + 1, len(sources))
    if "attention" in request.parts:
        maps = [AttentionMap("encoder", tokens, tokens, encoder_layers(encoder, source))]
        spec = decoder.spec
        if isinstance(spec, EncoderDecoderSpec) and spec.fast:
            ids = [spec.start, *text[:-1]]
            own, cross = decoder_layers(encoder, graph, spec, source, ids)
            read = token_texts(model.target, ids)
            maps.append(AttentionMap("decoder", read, read, own))
            maps.append(AttentionMap("cross", read, tokens, cross))
        found = replace(found, attention=maps)
    if "probabilities" in request.parts and text:
        (logits,) = token_logits(decoder, [source], [text])
        made = probabilities(model.target, logits, text, request.top)
        found = replace(found, probabilities=made)
    if "neighbors" in request.parts:
        found = replace(found, neighbors=neighbors(encoder, model.tokenizer, source, request.top))
    return found
