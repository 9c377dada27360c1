"""What happens inside a causal language model while it continues a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nlplug.inside.decoding import causal_layers
from nlplug.inside.result import AttentionMap, Inside, Request
from nlplug.inside.tokens import neighbors, probabilities, token_texts
from nlplug.runtime.decoding.decoder import Decoder
from nlplug.runtime.decoding.scoring import token_logits
from nlplug.runtime.tokenizer import Tokenizer


def inside_causal(
    request: Request,
    *,
    path: Path,
    decoder: Decoder,
    tokenizer: Tokenizer,
    prompt: Sequence[int],
    text: Sequence[int],
) -> Inside:
    """Look into the model.

    Args:
        request: What to look for.
        path: The graph.
        decoder: The model.
        tokenizer: Its tokenizer.
        prompt: The tokens of the prompt.
        text: The tokens of the new text; the model has not read the last one.

    Raises:
        OptionError: The text has but one window.
        BundleError: The graph does not show what was asked for.
    """
    request.place(1)
    ids = [*prompt, *text[:-1]]
    tokens = token_texts(tokenizer, ids)
    found = Inside(tokens, 1, 1)
    if "attention" in request.parts:
        layers = causal_layers(path, decoder.spec, ids)
        found = replace(found, attention=[AttentionMap("self", tokens, tokens, layers)])
    if "probabilities" in request.parts and text:
        (logits,) = token_logits(decoder, [prompt], [text])
        made = probabilities(tokenizer, logits, text, request.top)
        found = replace(found, probabilities=made)
    if "neighbors" in request.parts:
        found = replace(found, neighbors=neighbors(path, tokenizer, prompt, request.top))
    return found
