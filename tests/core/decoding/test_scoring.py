"""Texts that are given, read by the graphs that decode: the logits of each of their tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from decoding_kit import VOCABULARY, Pair, prompts

from nlplug.errors import InputError
from nlplug.runtime.decoding.decoder import Decoding
from nlplug.runtime.decoding.fast import FastDecoder
from nlplug.runtime.decoding.scoring import nats, token_logits, windows

pytestmark = pytest.mark.train

Pairs = Callable[[str], Pair]


class Steps:
    """A decoder that tells nothing but the logits after the last token."""

    def __init__(self, session: FastDecoder) -> None:
        self._session = session
        self.spec, self.path = session.spec, session.path

    def decoder_prompts(self, prompts: Sequence[Sequence[int]]) -> Sequence[Sequence[int]]:
        return prompts

    def start(
        self, prompts: Sequence[Sequence[int]], *, room: int = 0, copies: int = 1
    ) -> Decoding:
        return self._session.start(prompts, room=room, copies=copies)


def expected(model: Any, prompt: Sequence[int], text: Sequence[int]) -> np.ndarray:
    """What PyTorch has for each token of the text."""
    import torch

    with torch.no_grad():
        logits = model(torch.tensor([[*prompt, *text]])).logits[0].numpy()
    found: np.ndarray = logits[len(prompt) - 1 : -1]
    return found


@pytest.mark.parametrize("name", ["gpt2", "llama"])
@pytest.mark.parametrize("stepwise", [False, True], ids=["one pass", "step by step"])
def test_each_token_has_the_logits_that_pytorch_has(pair: Pairs, name: str, stepwise: bool) -> None:
    one = pair(name)
    before, texts = prompts(70, seed=1), prompts(70, seed=2, longest=30)
    decoder = Steps(one.session) if stepwise else one.session
    found = list(token_logits(decoder, before, texts))
    for prompt, text, logits in zip(before, texts, found, strict=True):
        wanted = expected(one.model, prompt, text)
        assert logits.shape == (len(text), VOCABULARY)
        np.testing.assert_allclose(logits, wanted, atol=2e-4)


def test_the_cross_entropy_of_each_token() -> None:
    logits = np.log(np.array([[0.25, 0.75], [0.5, 0.5]], np.float32))
    np.testing.assert_allclose(nats(logits, [0, 1]), -np.log([0.25, 0.5]), rtol=1e-6)


def test_a_text_longer_than_the_context_is_refused(pair: Pairs) -> None:
    with pytest.raises(InputError, match="context is 128"):
        list(token_logits(pair("gpt2").session, [[1]], [[1] * 140]))


@pytest.mark.parametrize(
    ("first", "total", "length"), [(1, 5, 8), (1, 40, 8), (3, 41, 7), (9, 9, 1)]
)
def test_windows_predict_each_token_once_with_half_a_window_before_it(
    first: int, total: int, length: int
) -> None:
    seen = []
    for begin, start, end in windows(first, total, length):
        assert end - begin <= length
        assert begin == 0 or start - begin >= length // 2
        seen += range(start, end + 1)
    assert seen == list(range(first, total))
