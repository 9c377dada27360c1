"""Makes the models that decode: random weights of a shape, for each engine by its own means.

Run as a script, because it imports PyTorch and the process that measures must stay small::

    python benchmarks/decoding_models.py MODELS --environments WORK --shape gpt2 [--tiny]

The weights are drawn so that texts do not repeat one token, which those of a usual start would: a
share of identical texts would tell nothing. No model ever ends a text.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from decoding import COMPLETE, FAILED, Shape
from environments import interpreter, packages_of

SEED = 7
PRECISIONS = ("fp32", "int8", "int8-blocks")
NEVER = -1e4


@dataclass(frozen=True)
class Size:
    """The sizes of a model; those of the text it writes are in `Shape`."""

    vocabulary: int
    layers: int
    hidden: int
    inner: int
    heads: int
    encoder_layers: int = 0


SIZES = {
    "gpt2": (Size(8000, 6, 384, 1536, 6), Shape(32, 128, 8000)),
    "llama": (Size(8000, 6, 384, 1024, 6), Shape(32, 128, 8000)),
    "marian": (Size(8000, 3, 256, 1024, 8, encoder_layers=6), Shape(20, 24, 8000, end=0)),
}
TINY = {
    "gpt2": (Size(300, 2, 64, 128, 2), Shape(6, 8, 300)),
    "llama": (Size(300, 2, 64, 128, 2), Shape(6, 8, 300)),
    "marian": (Size(300, 1, 64, 128, 2, encoder_layers=2), Shape(6, 5, 300, end=0)),
}


def gpt2(size: Size) -> Any:
    """GPT-2: learned positions, one packed projection, GELU."""
    from transformers import GPT2Config, GPT2LMHeadModel

    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=size.vocabulary,
            n_positions=1024,
            n_embd=size.hidden,
            n_inner=size.inner,
            n_layer=size.layers,
            n_head=size.heads,
            initializer_range=0.1,
            bos_token_id=0,
            eos_token_id=0,
        )
    )
    return _sharpened(model, model.transformer.wte, model.transformer.ln_f)


def llama(size: Size) -> Any:
    """Llama: rotary positions, a key for three queries where that divides, SwiGLU."""
    from transformers import LlamaConfig, LlamaForCausalLM

    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=size.vocabulary,
            hidden_size=size.hidden,
            intermediate_size=size.inner,
            num_hidden_layers=size.layers,
            num_attention_heads=size.heads,
            num_key_value_heads=size.heads // 3 if size.heads % 3 == 0 else size.heads,
            max_position_embeddings=4096,
            tie_word_embeddings=True,
            initializer_range=0.1,
            bos_token_id=0,
            eos_token_id=0,
        )
    )
    return _sharpened(model, model.model.embed_tokens, model.model.norm)


def _sharpened(model: Any, table: Any, norm: Any) -> Any:
    """Some tokens much likelier than others, as text has them, and the end never."""
    norm.weight.mul_(3.0)
    table.weight[0] = 0.0
    return model


def marian(size: Size) -> Any:
    """Marian: an encoder twice as deep as the decoder, norms after each part, tied tables."""
    from transformers import MarianConfig, MarianMTModel

    last = size.vocabulary - 1
    model = MarianMTModel(
        MarianConfig(
            vocab_size=size.vocabulary,
            d_model=size.hidden,
            encoder_layers=size.encoder_layers,
            decoder_layers=size.layers,
            encoder_attention_heads=size.heads,
            decoder_attention_heads=size.heads,
            encoder_ffn_dim=size.inner,
            decoder_ffn_dim=size.inner,
            max_position_embeddings=512,
            activation_function="swish",
            scale_embedding=True,
            init_std=0.1,
            pad_token_id=last,
            decoder_start_token_id=last,
            eos_token_id=0,
            forced_eos_token_id=None,
        )
    )
    for layer in (*model.model.encoder.layers, *model.model.decoder.layers):
        for name, weight in layer.named_parameters():
            if weight.dim() == 2:
                weight.mul_(_marian_scale(name))
        # Else what all hidden states share grows from layer to layer, and all steps are alike.
        layer.fc2.weight.sub_(layer.fc2.weight.mean(1, keepdim=True))
    model.final_logits_bias[0, 0] = model.final_logits_bias[0, last] = NEVER
    return model


def _marian_scale(name: str) -> float:
    if "attn" not in name:
        return 1.5
    if "q_proj" in name or "k_proj" in name:
        return 2.0
    return 0.4 if "encoder_attn" in name else 0.7


MODELS: dict[str, Callable[[Size], Any]] = {"gpt2": gpt2, "llama": llama, "marian": marian}


def make(name: str, folder: Path, environments: Path, *, tiny: bool, only: Sequence[str]) -> None:
    """One shape's models in a folder; ``complete.json`` names the engines that have theirs.

    Args:
        name: Of `MODELS`.
        folder: Where they go; a checkpoint that is there is used.
        environments: What holds the environments of the other engines.
        tiny: To see whether it runs, not how fast.
        only: Engines to make models for, or to make them again.
    """
    checkpoint, done = folder / "checkpoint", folder / COMPLETE
    made: list[str] = json.loads(done.read_text(encoding="utf-8")) if done.exists() else []
    if not made:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _make_checkpoint(name, folder, tiny=tiny)
        made = ["checkpoint"]
    translates = name == "marian"
    engines: dict[str, Callable[[], None]] = {
        "checkpoint": lambda: None,
        "nlplug": lambda: export_nlplug(checkpoint, folder, translates=translates),
        "optimum": lambda: export_optimum(checkpoint, folder, translates=translates),
        "ctranslate2": lambda: convert_ctranslate2(checkpoint, folder, environments),
        "genai": lambda: build_genai(checkpoint, folder, environments),
    }
    for engine in only:
        for old in folder.glob(f"{engine}*"):
            if engine != "checkpoint":
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        try:
            engines[engine]()
        except Exception as error:
            reason = str(error).strip().splitlines() or [type(error).__name__]
            text = f"its model cannot be made: {reason[-1][:300]}\n"
            (folder / f"{engine}{FAILED}").write_text(text, encoding="utf-8")
            print(f"{name}, {engine}: {text}", file=sys.stderr)
        made.append(engine)
        done.write_text(json.dumps(sorted(set(made))), encoding="utf-8")


def _make_checkpoint(name: str, folder: Path, *, tiny: bool) -> None:
    import torch

    size, shape = (TINY if tiny else SIZES)[name]
    shape.save(folder)
    torch.manual_seed(SEED)
    with torch.no_grad():
        MODELS[name](size).save_pretrained(folder / "checkpoint")
    _save_tokenizer(size.vocabulary, folder, marian=name == "marian")


def _save_tokenizer(vocabulary: int, folder: Path, *, marian: bool) -> None:
    """A word for each token: converters ask for a tokenizer, though no text is ever read."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    names = ["</s>", "<unk>", *(f"t{number}" for number in range(2, vocabulary))]
    if marian:
        names[-1] = "<pad>"
    words = {name: number for number, name in enumerate(names)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {"bos_token": "</s>", "eos_token": "</s>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>" if marian else "</s>", **special
    ).save_pretrained(folder / "checkpoint")
    (folder / "tokens.json").write_text(json.dumps(names), encoding="utf-8")


def export_nlplug(checkpoint: Path, folder: Path, *, translates: bool) -> None:
    """Our graphs in each precision; one that there is none of is said to fail."""
    import transformers

    from nlplug.export.decoder.encoder_decoder import export_encoder_decoder
    from nlplug.export.decoder.export import export_decoder, save_graph

    kind = transformers.MarianMTModel if translates else transformers.AutoModelForCausalLM
    model = kind.from_pretrained(checkpoint).eval()
    if translates:
        made = export_encoder_decoder(model, folder, precisions=PRECISIONS)
        graphs = dict(made.fast) or {"fp32": made.plain}
        note = made.note
    else:
        decoder = export_decoder(model, folder, precisions=PRECISIONS)
        fast = decoder.fast or {"fp32": decoder.plain}
        graphs = {precision: {"model": graph} for precision, graph in fast.items()}
        note = decoder.note
    for precision in PRECISIONS:
        target = folder / f"nlplug-{precision}"
        if precision not in graphs:
            target.with_name(f"{target.name}{FAILED}").write_text(f"{note}\n", encoding="utf-8")
            continue
        target.mkdir()
        for graph_name, graph in graphs[precision].items():
            save_graph(graph, target / f"{graph_name}.onnx")


def export_optimum(checkpoint: Path, folder: Path, *, translates: bool) -> None:
    """Optimum's own export; of text-to-text models with the merged decoder."""
    import optimum.onnxruntime

    kind = getattr(
        optimum.onnxruntime, "ORTModelForSeq2SeqLM" if translates else "ORTModelForCausalLM"
    )
    kind.from_pretrained(checkpoint, export=True).save_pretrained(folder / "optimum")


def convert_ctranslate2(checkpoint: Path, folder: Path, environments: Path) -> None:
    """By CTranslate2's converter, which reads checkpoints with our transformers and PyTorch."""
    code = (
        f"import sys; sys.path.append({packages_of('ctranslate2', environments)!r})\n"
        "from ctranslate2.converters import TransformersConverter\n"
        f"TransformersConverter({str(checkpoint)!r}).convert({str(folder / 'ctranslate2')!r})\n"
    )
    _python(sys.executable, code)


def build_genai(checkpoint: Path, folder: Path, environments: Path) -> None:
    """By onnxruntime-genai's builder in its environment, with our PyTorch; 8-bit weights."""
    code = (
        f"import runpy, sys; sys.path.append({packages_of('', environments)!r})\n"
        f"sys.argv = ['builder', '-i', {str(checkpoint)!r}, '-o', "
        f"{str(folder / 'genai-int8')!r}, '-p', 'int8', '-e', 'cpu', "
        f"'-c', {str(folder / 'genai-cache')!r}]\n"
        "runpy.run_module('onnxruntime_genai.models.builder', run_name='__main__')\n"
    )
    _python(str(interpreter("genai", environments)), code)
    shutil.rmtree(folder / "genai-cache", ignore_errors=True)


def _python(python: str, code: str) -> None:
    """Run a script in a process of its own.

    Raises:
        RuntimeError: It failed; with the last line that it wrote.
    """
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        lines = done.stderr.strip().splitlines() or [f"the process ended with {done.returncode}"]
        raise RuntimeError(lines[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path)
    parser.add_argument("--environments", type=Path, required=True)
    parser.add_argument("--shape", choices=MODELS, action="append", required=True)
    parser.add_argument("--engines", required=True, help="between commas")
    parser.add_argument("--tiny", action="store_true")
    arguments = parser.parse_args()
    for name in arguments.shape:
        make(
            name,
            arguments.models / name,
            arguments.environments,
            tiny=arguments.tiny,
            only=arguments.engines.split(","),
        )


if __name__ == "__main__":
    main()
