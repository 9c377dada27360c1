"""Checkpoints of tiny language models that read and write text, and bundles of their graphs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from decoding_kit import CONTEXT, END, make_model

from nlplug.models.bundle import Bundle
from nlplug.models.manifest import Manifest, PrecisionRecord
from nlplug.models.writer import BundleWriter

END_TOKEN = "<|end|>"
MERGES = [("t", "h"), ("th", "e"), ("Ġ", "t"), ("i", "n"), ("Ġ", "a")]


def write_tokenizer(folder: Path, **named: Any) -> int:
    """Byte-level BPE, one token a byte and a few more; returns how many tokens it has."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *map("".join, MERGES)]
    vocabulary = {piece: number for number, piece in enumerate([END_TOKEN, *pieces])}
    tokenizer = Tokenizer(models.BPE(vocabulary, MERGES))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(END_TOKEN, special=True)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END_TOKEN,
        pad_token=END_TOKEN,
        model_max_length=CONTEXT,
        **named,
    )
    fast.save_pretrained(str(folder))
    assert vocabulary[END_TOKEN] == END
    return len(vocabulary)


def write_checkpoint(folder: Path, name: str, **named: Any) -> Any:
    """A checkpoint with its tokenizer, of one of `decoding_kit.MODELS`; returns the model."""
    model = make_model(name, vocab_size=write_tokenizer(folder, **named))
    model.save_pretrained(str(folder))
    return model


def write_bundles(checkpoint: Path, model: Any, folder: Path) -> dict[str, Bundle]:
    """The checkpoint's graphs as bundles: ``fast``, and ``plain`` as the exporter gives it."""
    from nlplug.export.decoder.export import export_decoder, save_graph
    from nlplug.export.exporters.exporter import installed_exporter

    fast = export_decoder(model, folder, precisions=("fp32",)).fast["fp32"]
    bundles = {}
    for name, graph in (("fast", fast), ("plain", installed_exporter().causal(model, folder))):
        with BundleWriter(folder / name) as writer:
            for path in [*checkpoint.glob("*.json"), *checkpoint.glob("*.jinja")]:
                shutil.copy(path, writer.folder)
            (writer.folder / "onnx").mkdir()
            save_graph(graph, writer.folder / "onnx" / "model.onnx")
            manifest = Manifest(
                name=name,
                hub_task="text-generation",
                max_length=CONTEXT,
                precisions={"fp32": PrecisionRecord(file="onnx/model.onnx")},
            )
            bundles[name] = writer.commit(manifest)
    return bundles
