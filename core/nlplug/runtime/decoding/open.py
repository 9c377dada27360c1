"""Opening a model for decoding; the metadata of its graph say in which form it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nlplug.runtime.decoding.decoder import NO_LIMIT, Decoder, DecoderSpec, EncoderDecoderSpec
from nlplug.runtime.decoding.fast import FastDecoder
from nlplug.runtime.decoding.fast_encoder_decoder import FastEncoderDecoder
from nlplug.runtime.decoding.plain import PlainDecoder
from nlplug.runtime.decoding.plain_encoder_decoder import PlainEncoderDecoder
from nlplug.runtime.decoding.sessions import Sessions, open_session


def open_decoder(path: Path, *, context: int | None = None, threads: int | None = None) -> Decoder:
    """Open the graph of a causal model, in the fast form or as Optimum exports it.

    Args:
        path: The ``.onnx`` file.
        context: Maximum number of positions of a plain graph; None for no limit. A fast graph has
            it in its metadata.
        threads: Number of threads; None for the number of CPUs that the process may use.

    Raises:
        MissingExtra: ONNX Runtime is not installed.
        BundleError: The file is no such graph, or its metadata lack a key.
        OptionError: ``threads`` is below 1.
    """
    sessions = Sessions(path, threads)
    described = sessions.metadata().get(DecoderSpec.metadata_key)
    if described is not None:
        spec = DecoderSpec.from_json(described, path)
        spec.check_graph(sessions.first)
        return FastDecoder(sessions, spec)
    session = sessions.open(sessions.threads)
    return PlainDecoder(session, path, context=NO_LIMIT if context is None else context)


def open_encoder_decoder(
    encoder: Path,
    decoder: Path,
    *,
    start: int | None = None,
    context: int | None = None,
    threads: int | None = None,
) -> Decoder:
    """Open the graphs of a text-to-text model, in the fast form or as Optimum exports them.

    The prompts of the result are sources: `generate` and `stream` take their token ids, special
    tokens included, and return the tokens of the text.

    Args:
        encoder: ``encoder_model.onnx``.
        decoder: ``decoder_model_merged.onnx``, or ``decoder_model.onnx`` with
            ``decoder_with_past_model.onnx`` in the same folder.
        start: The token that texts start with (``decoder_start_token_id``); None for that of the
            graph's metadata, which nlplug's own exports have.
        context: Maximum number of positions of a source and of a text; None for that of the
            metadata, or for no limit.
        threads: Threads within a step; None for the number of CPUs that the process may use.

    Raises:
        MissingExtra: ONNX Runtime is not installed.
        BundleError: The files are no such graphs, or their metadata lack a key.
        OptionError: ``threads`` is below 1, or the first token is given nowhere.
    """
    session = open_session(decoder, threads)
    described = session.get_modelmeta().custom_metadata_map.get(EncoderDecoderSpec.metadata_key)
    spec = None if described is None else EncoderDecoderSpec.from_json(described, decoder)
    if spec is not None and spec.fast:
        spec.check_graph(session)
        spec = spec if start is None else replace(spec, start=start)
        return FastEncoderDecoder(open_session(encoder, threads), session, spec, decoder)
    return PlainEncoderDecoder(
        encoder, decoder, session, spec=spec, start=start, context=context, threads=threads
    )
