"""Windows: of a long text training sees a part, and another part in each epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlplug.train.windows import WindowedTexts

pytestmark = pytest.mark.train

LONG = " ".join(["the film was good and so the plot is a"] * 4)  # 40 tokens
SHORT = "a fine film"


@pytest.fixture
def tokenizer(tiny_bert: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_bert)


def windowed(tokenizer: Any, seed: int) -> WindowedTexts:
    targets = [np.array(0), np.array(1)]
    return WindowedTexts([LONG, SHORT], targets, tokenizer, max_length=12, seed=seed)


def test_a_training_item_is_a_text_cut_to_the_window(tokenizer: Any) -> None:
    dataset = windowed(tokenizer, seed=1)
    assert [len(dataset[i]["input_ids"]) for i in range(len(dataset))] == [12, 5]


def test_another_epoch_shows_another_window_and_the_same_epoch_the_same(tokenizer: Any) -> None:
    dataset = windowed(tokenizer, seed=1)
    seen = []
    for epoch in (0, 1, 2, 3, 0):
        dataset.set_epoch(epoch)
        seen.append(dataset[0]["input_ids"])
    assert seen[0] == seen[4]
    assert any(window != seen[0] for window in seen)


def test_the_frame_of_a_text_is_what_the_tokenizer_file_says(tiny_bert: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    # transformers' general class knows no frame but that of the file.
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(tiny_bert / "tokenizer.json"),
        pad_token="[PAD]",
        unk_token="[UNK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )
    item = windowed(tokenizer, seed=1)[0]
    assert [item["input_ids"][0], item["input_ids"][-1]] == [2, 3]
    assert set(item) == {"input_ids", "attention_mask", "token_type_ids", "labels"}
