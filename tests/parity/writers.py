"""Tiny sequence-to-sequence checkpoints with random weights, each with its usual tokenizer."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from decoding_kit import BART, T5
from parity.texts import documents
from parity.vocabularies import byte_level, unigram

WINDOW = 96
"""Tokens in a source, special ones included."""
_VOCABULARY = 600
_SPREAD = {"mbart": 0.5, "pegasus": 0.5}
"""Noise on the weights, without which the answers of a random model hardly depend on the text."""
_BART = {**BART, "max_position_embeddings": WINDOW}


@dataclass(frozen=True)
class Writer:
    """One architecture with its tokenizer.

    Attributes:
        name: As the tables call it.
        model_type: As transformers calls it.
        tokenizer: Trains the tokenizer on texts, and saves it in a folder.
        settings: Of the config.
    """

    name: str
    model_type: str
    tokenizer: Callable[[list[str], Path], Any]
    settings: dict[str, Any] = field(default_factory=lambda: dict(_BART))


def make_writer(writer: Writer, folder: Path) -> Path:
    """Save a random model with its tokenizer, and return its folder."""
    import torch
    import transformers

    folder.mkdir()
    tokenizer = writer.tokenizer(documents(60, 600), folder)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(3)
    config = transformers.AutoConfig.for_model(
        writer.model_type,
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
        forced_eos_token_id=None,
        **{"decoder_start_token_id": tokenizer.pad_token_id, **writer.settings},
    )
    model = transformers.AutoModelForSeq2SeqLM.from_config(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * _SPREAD.get(writer.model_type, 0.3))
    model.save_pretrained(folder)
    return folder


def _t5(texts: list[str], folder: Path) -> Any:
    from tokenizers import normalizers, processors
    from transformers import T5TokenizerFast

    inner = unigram(
        texts,
        specials=["<pad>", "</s>", "<unk>"],
        unknown="<unk>",
        split=False,
        normalizer=normalizers.NFKC(),
        size=_VOCABULARY,
    )
    inner.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    return T5TokenizerFast(tokenizer_object=inner, extra_ids=0, model_max_length=WINDOW)


def _bart(texts: list[str], folder: Path) -> Any:
    from tokenizers import processors
    from transformers import BartTokenizerFast

    inner = byte_level(texts, _VOCABULARY)
    inner.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return BartTokenizerFast(tokenizer_object=inner, model_max_length=WINDOW)


def _pegasus(texts: list[str], folder: Path) -> Any:
    from tokenizers import processors
    from transformers import PegasusTokenizerFast

    inner = unigram(
        texts,
        specials=["<pad>", "</s>", "<mask_1>", "<mask_2>", "<unk_2>", "<unk>"],
        unknown="<unk>",
        split=False,
        normalizer=None,
        size=_VOCABULARY,
    )
    inner.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A $B </s>", special_tokens=[("</s>", 1)]
    )
    return PegasusTokenizerFast(tokenizer_object=inner, offset=5, model_max_length=WINDOW)


def _mbart(texts: list[str], folder: Path) -> Any:
    from transformers import MBartTokenizerFast

    inner = unigram(
        texts,
        specials=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        unknown="<unk>",
        split=True,
        normalizer=None,
        size=_VOCABULARY,
    )
    made = MBartTokenizerFast(tokenizer_object=inner, model_max_length=WINDOW)
    made.src_lang = "en_XX"
    return made


def _marian(texts: list[str], folder: Path) -> Any:
    import sentencepiece
    from transformers import MarianTokenizer

    vocabulary = {"</s>": 0, "<unk>": 1}
    for name in ("source", "target"):
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_prefix=str(folder / name),
            vocab_size=_VOCABULARY,
            hard_vocab_limit=False,
            character_coverage=0.99,
            num_threads=1,
            minloglevel=2,
        )
        (folder / f"{name}.model").rename(folder / f"{name}.spm")
        model = sentencepiece.SentencePieceProcessor(str(folder / f"{name}.spm"))
        for number in range(model.get_piece_size()):
            if (piece := model.id_to_piece(number)) != "<s>":
                vocabulary.setdefault(piece, len(vocabulary))
        (folder / f"{name}.vocab").unlink()
    vocabulary["<pad>"] = len(vocabulary)
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    settings = {"source_lang": "en", "target_lang": "fr", "model_max_length": WINDOW}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return MarianTokenizer.from_pretrained(folder)


WRITERS = {
    one.name: one
    for one in (
        Writer("T5", "t5", _t5, dict(T5)),
        Writer(
            "mT5",
            "mt5",
            _t5,
            {**T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
        ),
        Writer("BART", "bart", _bart, {**_BART, "decoder_start_token_id": 2}),
        Writer(
            "Pegasus",
            "pegasus",
            _pegasus,
            {**_BART, "scale_embedding": True, "activation_function": "relu"},
        ),
        Writer(
            "Marian",
            "marian",
            _marian,
            {**_BART, "scale_embedding": True, "activation_function": "swish"},
        ),
        Writer(
            "mBART",
            "mbart",
            _mbart,
            {**_BART, "scale_embedding": True, "decoder_start_token_id": 2},
        ),
    )
}
