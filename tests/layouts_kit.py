"""Layouts of model repositories as they are on the Hub, each built small."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from graph_kit import write_classifier
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors

from nlplug.families.sequence_classification import SequenceClassificationTask
from nlplug.families.span_extraction import SpanExtractionTask
from nlplug.families.token_classification import TokenClassificationTask

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["good", "Good", "bad", "cafe", "café", "film", "##s", "Ġgood", "Ġfilm", "Ġbad", "the"]
MPNET = ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"]
VOCABULARY = [*SPECIAL, *WORDS]
WEIGHTS = np.random.default_rng(7).normal(size=(32, 2)).astype(np.float32) * 4
TEXTS = ["Good film", "bad", "the good films of the cafe", "café", "GOOD bad good", "good"]
LONG = "good bad film " * 30


class Judge(SequenceClassificationTask):
    """Judges."""

    name = "judge"
    title = "Judge"
    description = "Judges."


class Tag(TokenClassificationTask):
    """Tags."""

    name = "tag"
    title = "Tag"
    description = "Tags."


class Read(SpanExtractionTask):
    """Reads."""

    name = "read"
    title = "Read"
    description = "Reads."


@dataclass(frozen=True)
class Layout:
    """One repository.

    Attributes:
        name: What it is an example of.
        graphs: Files, each with what `write_classifier` is told.
        tokenizer: File of the tokenizer.
        lowercase: What ``tokenizer.json`` does.
        config: Entries of ``config.json``; None removes one.
        tokenizer_config: Of ``tokenizer_config.json``; None for no such file.
        files: Further JSON files.
        config_file: Where the config is.
        labels: The labels that the answers have.
        pads: The id that rows are padded with.
        first: The first position.
        window: The model's window.
        refused: A pattern of the error; None for a repository that answers.
        task: The task that is asked.
    """

    name: str
    graphs: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"onnx/model.onnx": {}})
    tokenizer: str = "tokenizer.json"
    lowercase: bool = True
    accents: bool | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    tokenizer_config: Mapping[str, Any] | None = field(
        default_factory=lambda: {"tokenizer_class": "BertTokenizer", "do_lower_case": True}
    )
    files: Mapping[str, Any] = field(default_factory=dict)
    config_file: str = "config.json"
    vocabulary: Sequence[str] = tuple(VOCABULARY)
    padding: bool = False
    labels: Sequence[str] = ("negative", "positive")
    pads: int | None = 0
    first: int = 0
    window: int = 64
    precision: str = "auto"
    refused: str | None = None
    task: type[Any] = Judge

    def __str__(self) -> str:
        return self.name


BERT = {"tokenizer_class": "BertTokenizer"}
ROBERTA = {"model_type": "roberta", "pad_token_id": 0, "max_position_embeddings": 65}
DECODER = {"model_type": "gpt2", "architectures": ["GPT2ForSequenceClassification"]}
PAD_5 = {"onnx/model.onnx": {"pad": 5}}
NO_PAD = {"vocabulary": [word for word in VOCABULARY if word != "[PAD]"] + ["spare"]}


def graph(**told: Any) -> dict[str, dict[str, Any]]:
    return {"onnx/model.onnx": told}


ANSWER = [
    Layout(
        "optimum-cli",
        {"model.onnx": {"types": "token_type_ids"}},
        files={"special_tokens_map.json": {"pad_token": "[PAD]", "unk_token": "[UNK]"}},
    ),
    Layout(
        "xenova",
        {"onnx/model.onnx": {}, "onnx/model_quantized.onnx": {}},
        files={"quantize_config.json": {}},
    ),
    Layout(
        "onnx-community",
        {f"onnx/model{end}.onnx": {} for end in ("", "_fp16", "_q4", "_int8", "_bnb4", "_q4f16")},
        files={"generation_config.json": {}},
    ),
    Layout(
        "sentence-transformers",
        {f"onnx/model{end}.onnx": {} for end in ("", "_O1", "_O2", "_O3", "_qint8_avx512_vnni")},
        files={"modules.json": {}, "sentence_bert_config.json": {"max_seq_length": 48}},
        window=48,
    ),
    Layout("text-embeddings-inference", tokenizer_config=None),
    Layout("quantized-at-the-root", {"model_quantized.onnx": {}}),
    Layout("quantized-alone-in-onnx", {"onnx/model_quantized.onnx": {}}),
    Layout("optimized", {"onnx/model_optimized.onnx": {}}),
    Layout("optimized-and-quantized", {"model_optimized_quantized.onnx": {}}),
    Layout("level-of-the-optimizer", {"onnx/model_O2.onnx": {}}),
    Layout("name-of-its-own", {"classifier.onnx": {}}),
    Layout("name-of-its-own-quantized", {"onnx/classifier_quantized.onnx": {}}),
    Layout("tokenizer-in-onnx", tokenizer="onnx/tokenizer.json", tokenizer_config=None),
    Layout("tokenizer-in-a-folder", tokenizer="tokenizer/tokenizer.json", tokenizer_config=None),
    Layout("all-in-onnx", tokenizer="onnx/tokenizer.json", config_file="onnx/config.json"),
    Layout("vocab-txt", tokenizer="vocab.txt", tokenizer_config=None),
    Layout("vocab-txt-cased", tokenizer="vocab.txt", tokenizer_config={"do_lower_case": False}),
    Layout(
        "vocab-txt-with-accents", tokenizer="vocab.txt", tokenizer_config={"strip_accents": False}
    ),
    Layout(
        "vocab-txt-of-mpnet",
        tokenizer="vocab.txt",
        vocabulary=[*MPNET, *WORDS],
        config={"model_type": "mpnet", "max_position_embeddings": 66, "pad_token_id": 1},
        tokenizer_config={"tokenizer_class": "MPNetTokenizer"},
        pads=1,
        first=2,
    ),
    Layout("vocab-txt-in-onnx", tokenizer="onnx/vocab.txt", tokenizer_config=None),
    Layout("case-overridden", tokenizer_config={**BERT, "do_lower_case": False}),
    Layout("case-of-the-class", lowercase=False, tokenizer_config=BERT),
    Layout(
        "accents-overridden",
        tokenizer_config={**BERT, "do_lower_case": True, "strip_accents": False},
    ),
    Layout("cased", lowercase=False, tokenizer_config=None),
    Layout(
        "prefix-space-overridden",
        tokenizer="byte-level",
        config=ROBERTA,
        tokenizer_config={"tokenizer_class": "PreTrainedTokenizerFast", "add_prefix_space": True},
        first=1,
    ),
    Layout(
        "prefix-space-of-the-class",
        tokenizer="byte-level with a space",
        config=ROBERTA,
        tokenizer_config={"tokenizer_class": "PreTrainedTokenizerFast"},
        first=1,
    ),
    Layout(
        "label2id-alone",
        config={"id2label": None, "label2id": {"no": 0, "yes": 1}},
        labels=("no", "yes"),
    ),
    Layout("no-labels", config={"id2label": None}, labels=("LABEL_0", "LABEL_1")),
    Layout("positions", graph(positions=True)),
    Layout("positions-of-roberta", graph(positions=True), config=ROBERTA, first=1),
    Layout("mask-of-bool", graph(mask="bool")),
    Layout("mask-of-float", graph(mask="float32")),
    Layout("int32", graph(kind="int32", mask="int32", types="token_type_ids")),
    Layout("no-mask", graph(mask=None)),
    Layout("no-mask-no-pad", graph(mask=None), **NO_PAD, pads=None),
    Layout("one-row-per-run", graph(batch=1)),
    Layout("fixed-length", graph(length=32), window=32),
    Layout("one-row-of-fixed-length", graph(batch=1, length=16, types="token_type_ids"), window=16),
    Layout("names-of-tensorflow", graph(mask_name="input_mask", types="segment_ids")),
    Layout("output-0", graph(outputs=("output_0",))),
    Layout("output-of-undeclared-shape", graph(outputs=("scores",), declares_shape=False)),
    Layout("several-outputs", graph(outputs=("logits", "other"))),
    Layout("pad-in-the-config", PAD_5, config={**DECODER, "pad_token_id": 5}, pads=5),
    Layout(
        "pad-in-the-special-tokens-map",
        PAD_5,
        config=DECODER,
        tokenizer_config={},
        files={"special_tokens_map.json": {"pad_token": {"content": "good"}}},
        pads=5,
    ),
    Layout(
        "pad-in-the-tokenizer-config",
        PAD_5,
        config=DECODER,
        tokenizer_config={"pad_token": "good"},
        pads=5,
    ),
    Layout(
        "pad-in-the-generation-config",
        PAD_5,
        config=DECODER,
        tokenizer_config={},
        files={"generation_config.json": {"pad_token_id": 5}},
        pads=5,
    ),
    Layout(
        "pad-in-the-tokenizer", PAD_5, config=DECODER, tokenizer_config={}, padding=True, pads=5
    ),
    Layout("no-pad-anywhere", PAD_5, config=DECODER, tokenizer_config={}, **NO_PAD, pads=None),
    Layout(
        "added-tokens",
        files={"added_tokens.json": {"of": len(VOCABULARY)}},
        tokenizer_config={**BERT, "do_lower_case": True},
    ),
]
REFUSED = [
    Layout(
        "tags-as-a-classifier",
        graph(per_token=True),
        refused=r"model\.onnx is for another task, token classification: its logits have 3 axes "
        r"\(scores of each token\)",
    ),
    Layout(
        "tags-of-undeclared-shape",
        graph(per_token=True, declares_shape=False),
        refused="is for another task.*: its logits have 3 axes",
    ),
    Layout(
        "a-classifier-as-tags",
        task=Tag,
        refused=r"for another task, text classification: its logits have 2 axes "
        r"\(scores of a whole text\)",
    ),
    Layout(
        "a-reader-as-a-classifier",
        graph(outputs=("start_logits", "end_logits")),
        refused="for another task, question answering: it gives start_logits, end_logits, "
        "but this task needs logits",
    ),
    Layout(
        "a-reader-of-other-names",
        graph(outputs=("start", "end")),
        refused="for another task: it gives start, end, but this task needs logits",
    ),
    Layout(
        "a-bare-encoder",
        graph(per_token=True, outputs=("last_hidden_state",)),
        refused="for another task, embeddings: it gives last_hidden_state, but this",
    ),
    Layout("pictures", graph(ids="pixel_values"), refused="pixel_values cannot be fed"),
    Layout(
        "an-unknown-input",
        graph(more_inputs={"bbox": "int64"}),
        refused="needs the inputs attention_mask, bbox, input_ids; bbox cannot be fed",
    ),
    Layout("a-mask-of-4-axes", graph(mask_axes=4), refused="attention_mask has 4 axes"),
    Layout(
        "a-fixed-length-without-pad",
        graph(length=32),
        **NO_PAD,
        refused="each row must have 32 tokens, and the repository names no token to pad with",
    ),
    Layout(
        "more-labels-than-logits",
        config={"id2label": {str(i): f"l{i}" for i in range(5)}},
        refused="gives 2 logits, but its config.json names 5 labels",
    ),
    Layout("labels-with-a-gap", config={"id2label": {"0": "a", "2": "b"}}, refused="the ids 0, 2"),
    Layout(
        "two-labels-of-one-id",
        config={"id2label": None, "label2id": {"a": 0, "b": 0}},
        refused="label2id gives one id to two labels",
    ),
    Layout("sentencepiece-alone", tokenizer="spiece.model", refused="holds no tokenizer.json"),
    Layout(
        "vocab-txt-of-another-kind",
        tokenizer="vocab.txt",
        tokenizer_config={"tokenizer_class": "PhobertTokenizer"},
        refused="Its vocab.txt is not in the form of BERT's",
    ),
    Layout(
        "vocab-txt-without-special-tokens",
        tokenizer="vocab.txt",
        vocabulary=WORDS,
        refused=r"lacks the special tokens \[UNK\], \[CLS\], \[SEP\]",
    ),
    Layout(
        "two-graphs-of-unknown-names",
        {"first.onnx": {}, "second.onnx": {}},
        refused="holds the graphs first, second; which of them answers is unknown",
    ),
    Layout("no-graph", {}, refused="holds no ONNX file"),
]


def build(layout: Layout, folder: Path) -> Path:
    """Write the repository of a layout."""
    for name, told in layout.graphs.items():
        write_classifier(folder / name, WEIGHTS, **told)
    config = {
        "model_type": "bert",
        "architectures": ["BertForSequenceClassification"],
        "max_position_embeddings": 64,
        "id2label": {str(number): label for number, label in enumerate(layout.labels)},
        **layout.config,
    }
    write(folder / layout.config_file, {k: v for k, v in config.items() if v is not None})
    if layout.tokenizer_config is not None:
        write(folder / "tokenizer_config.json", layout.tokenizer_config)
    for name, values in layout.files.items():
        write(folder / name, values)
    write_tokenizer(layout, folder)
    return folder


def write(path: Path, values: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values), encoding="utf-8")


def write_tokenizer(layout: Layout, folder: Path) -> None:
    vocabulary = {word: number for number, word in enumerate(layout.vocabulary)}
    file = folder / layout.tokenizer
    if file.suffix != ".json" and not layout.tokenizer.startswith("byte-level"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{word}\n" for word in layout.vocabulary), encoding="utf-8")
        return
    if file.suffix == ".json":
        made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
        made.normalizer = normalizers.BertNormalizer(
            lowercase=layout.lowercase, strip_accents=layout.accents
        )
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    else:
        file = folder / "tokenizer.json"
        made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
        made.pre_tokenizer = pre_tokenizers.ByteLevel(
            add_prefix_space=layout.tokenizer.endswith("space")
        )
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(text, vocabulary[text]) for text in ("[CLS]", "[SEP]")],
    )
    made.add_special_tokens(
        [AddedToken(text, special=True) for text in SPECIAL if text in vocabulary]
    )
    if layout.padding:
        made.enable_padding(pad_id=5, pad_token="good")
    file.parent.mkdir(parents=True, exist_ok=True)
    made.save(str(file))
