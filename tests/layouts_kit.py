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
MERGES = [("Ġ", "f"), ("o", "o"), ("Ġ", "g"), ("oo", "d"), ("Ġf", "i")]
PAIRS = [
    *("<s>", "<pad>", "</s>", "<unk>", "<mask>"),
    *"GgodfilmbathescODĠÃ©",
    *("".join(pair) for pair in MERGES),
    *("<|endoftext|>",),
]
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
        padding: Whether ``tokenizer.json`` stores padding and truncation.
        lists_added: Whether it lists the tokens that were added to its vocabulary.
        begins: Bytes at the beginning of each JSON file.
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
    lists_added: bool = True
    begins: bytes = b""
    labels: Sequence[str] = ("negative", "positive")
    pads: int | None = 0
    first: int = 0
    window: int = 64
    precision: str = "auto"
    refused: str | None = None
    task: type[Any] = Judge

    def __str__(self) -> str:
        return self.name


def build(layout: Layout, folder: Path) -> Path:
    """Write the repository of a layout."""
    for name, told in layout.graphs.items():
        write_classifier(folder / name, WEIGHTS[:, : len(layout.labels)], **told)
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
    for file in folder.glob("*.json"):
        file.write_bytes(layout.begins + file.read_bytes())
    return folder


def write(path: Path, values: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values), encoding="utf-8")


def write_tokenizer(layout: Layout, folder: Path) -> None:
    vocabulary = {word: number for number, word in enumerate(layout.vocabulary)}
    file = folder / layout.tokenizer
    if layout.tokenizer == "vocab.json":
        write(file, vocabulary)
        merges = "".join(f"{first} {second}\n" for first, second in MERGES)
        file.with_name("merges.txt").write_text(f"#version: 0.2\n{merges}", encoding="utf-8")
        return
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
        made.enable_truncation(max_length=3)
    content = json.loads(made.to_str())
    if not layout.lists_added:
        content["added_tokens"] = []
    write(file, content)
