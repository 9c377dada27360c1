"""The PyTorch model as the reference for graphs that generate text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from transformers import GenerationConfig

from nlplug.runtime.decoding.options import DecodingOptions

_ROWS = 16

Tokens = Sequence[int]


class TorchDecoder:
    """Greedy texts, and the logits of given texts, from a ``transformers`` model.

    Args:
        model: In eval mode, causal or text to text.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._paired = bool(model.config.is_encoder_decoder)
        config = model.generation_config
        self._start = config.decoder_start_token_id
        if self._start is None:
            self._start = getattr(model.config, "decoder_start_token_id", None)
        if self._start is None:
            self._start = config.bos_token_id

    def greedy(self, prompts: Sequence[Tokens], options: DecodingOptions) -> list[list[int]]:
        """The new tokens of each prompt, as ``generate`` returns them, with the end token.

        Batches of causal prompts have equal lengths, so that nothing is padded.
        """
        found: list[list[int]] = [[] for _ in prompts]
        settings = self._settings(options)
        for batch in self._batches(prompts):
            ids, mask = _padded([prompts[place] for place in batch])
            with torch.inference_mode(), self._without_own_settings():
                made = self._model.generate(ids, attention_mask=mask, generation_config=settings)
            skipped = 1 if self._paired else ids.shape[1]
            for place, row in zip(batch, made[:, skipped:].tolist(), strict=True):
                found[place] = _until(row, options.eos)
        return found

    @contextmanager
    def _without_own_settings(self) -> Iterator[None]:
        """``generate`` would take what the given settings leave out from those of the model."""
        own, self._model.generation_config = self._model.generation_config, GenerationConfig()
        try:
            yield
        finally:
            self._model.generation_config = own

    def logits(self, prompts: Sequence[Tokens], texts: Sequence[Tokens]) -> Iterator[np.ndarray]:
        """Like `nlplug.runtime.decoding.scoring.token_logits`."""
        for begin in range(0, len(prompts), _ROWS):
            part = slice(begin, begin + _ROWS)
            run = self._pairs if self._paired else self._continued
            yield from run(prompts[part], texts[part])

    def _continued(self, prompts: Sequence[Tokens], texts: Sequence[Tokens]) -> list[np.ndarray]:
        # Attention is causal, so padding on the right has no effect.
        rows = [[*prompt, *text[:-1]] for prompt, text in zip(prompts, texts, strict=True)]
        ids, _ = _padded(rows)
        with torch.inference_mode():
            logits = self._model(ids).logits
        return [
            logits[row, len(prompt) - 1 : len(prompt) - 1 + len(text)].float().numpy()
            for row, (prompt, text) in enumerate(zip(prompts, texts, strict=True))
        ]

    def _pairs(self, prompts: Sequence[Tokens], texts: Sequence[Tokens]) -> list[np.ndarray]:
        ids, mask = _padded(prompts)
        read, _ = _padded([[self._start, *text[:-1]] for text in texts])
        with torch.inference_mode():
            logits = self._model(ids, attention_mask=mask, decoder_input_ids=read).logits
        return [logits[row, : len(text)].float().numpy() for row, text in enumerate(texts)]

    def _batches(self, prompts: Sequence[Tokens]) -> Iterator[list[int]]:
        batch: list[int] = []
        for place in sorted(range(len(prompts)), key=lambda place: len(prompts[place])):
            other = bool(batch) and len(prompts[batch[0]]) != len(prompts[place])
            if len(batch) == _ROWS or (other and not self._paired):
                yield batch
                batch = []
            batch.append(place)
        if batch:
            yield batch

    def _settings(self, options: DecodingOptions) -> GenerationConfig:
        """Greedy decoding with the forced and forbidden tokens of the options."""
        eos = list(options.eos)
        return GenerationConfig(
            max_new_tokens=options.max_new_tokens,
            do_sample=False,
            num_beams=1,
            eos_token_id=eos or None,
            pad_token_id=eos[0] if eos else 0,
            bad_words_ids=[list(word) for word in options.bad_words] or None,
            suppress_tokens=list(options.suppress_tokens) or None,
            begin_suppress_tokens=list(options.begin_suppress_tokens) or None,
            forced_bos_token_id=options.forced_bos,
            forced_eos_token_id=options.forced_eos,
            decoder_start_token_id=self._start if self._paired else None,
        )


def _padded(rows: Sequence[Tokens]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids padded on the right with zeros, and the attention mask."""
    ids = [torch.tensor(list(row), dtype=torch.int64) for row in rows]
    padded = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True)
    sizes = torch.tensor([len(row) for row in rows])
    return padded, (torch.arange(padded.shape[1]) < sizes[:, None]).long()


def _until(tokens: list[int], ends: Sequence[int]) -> list[int]:
    """The tokens up to the first end token; what follows is padding."""
    for place, token in enumerate(tokens):
        if token in ends:
            return tokens[: place + 1]
    return tokens
