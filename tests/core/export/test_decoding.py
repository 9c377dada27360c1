"""Models that write texts, exported behind their gate: the same texts, and as good ones."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gate_cases import decoder_value_outliers
from stack_kit import needs_optimum
from tales_kit import TEXTS, Tales, Words, checkpoint
from toy_set import write_jsonl

from nlplug import Bundle, Pipeline
from nlplug.errors import ExportError, GateRefused, OptionError
from nlplug.export.decoding import _check_fp32
from nlplug.export.decoding_gate import DecodingGate, DecodingRows
from nlplug.export.exporters.exporter import installed_exporter
from nlplug.export.run import ExportConfig, ExportReport, export_model
from nlplug.export.torch_decoder import TorchDecoder
from nlplug.families.causal_lm.runner import open_decoder
from nlplug.families.causal_lm.scoring import TextGenerationEvaluation, likelihood_scorer
from nlplug.runtime.decoding.options import DecodingOptions
from nlplug.runtime.decoding.scoring import token_logits
from nlplug.train.vocabulary import train_tokenizer

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_jsonl(
        tmp_path_factory.mktemp("texts") / "texts.jsonl", [{"text": text} for text in TEXTS]
    )


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("llama"), "llama")


@pytest.fixture(scope="module")
def tales(llama: Path, texts: Path, tmp_path_factory: pytest.TempPathFactory) -> ExportReport:
    output = tmp_path_factory.mktemp("bundle") / "tales"
    return export_model(
        ExportConfig(
            source=llama,
            output=output,
            task=Tales(),
            eval_data=texts,
            budget=1.0,
            allow=("answers",),  # its weights are random
            options={"temperature": 0.5},
        )
    )


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> ExportReport:
    folder = tmp_path_factory.mktemp("marian")
    rows = [{"source": text, "target": text.lower()} for text in TEXTS]
    return export_model(
        ExportConfig(
            source=checkpoint(folder / "checkpoint", "marian", spread=0.02),
            output=folder / "words",
            task=Words(),
            eval_data=write_jsonl(folder / "pairs.jsonl", rows),
            budget=1.0,
            allow=("answers",),
        )
    )


def test_each_precision_is_held_against_pytorch_on_a_hundred_prompts(tales: ExportReport) -> None:
    fp32, int8 = tales.results
    assert (fp32.precision, int8.precision) == ("fp32", "int8")
    assert fp32.parity["rows"] >= 100
    assert fp32.parity["identical"] + fp32.parity["ties"] / fp32.parity["rows"] == 1
    assert fp32.parity["agreement"] == 1
    assert 0.2 < int8.parity["identical"] <= 1
    assert int8.parity["agreement"] > 0.9


def test_texts_are_read_for_the_metric_of_which_less_is_better(tales: ExportReport) -> None:
    fp32, int8 = tales.results
    assert fp32.metric == "bits_per_byte"
    assert fp32.metrics["bits_per_byte"] == pytest.approx(
        tales.reference["bits_per_byte"], rel=1e-4
    )
    lost = int8.metrics["bits_per_byte"] - tales.reference["bits_per_byte"]
    assert int8.loss.mean == pytest.approx(lost, abs=1e-5)
    assert "bits per byte of 27 texts" in tales.rows


def test_the_bundle_says_what_its_graphs_are_and_runs(tales: ExportReport) -> None:
    bundle = Bundle.open(tales.bundle.path, verify=True)
    assert bundle.manifest is not None
    assert bundle.manifest.metrics["graph"] == "fast: 2 layers, llama; int8 in blocks"
    assert list(bundle.precisions) == ["fp32", "int8"]
    assert bundle.manifest.precisions["int8"].parity["identical"] > 0
    assert json.loads((bundle.path / "generation_config.json").read_text())["eos_token_id"] == 1
    with Pipeline(Tales(), bundle, threads=1) as pipe:
        assert pipe.precision == "int8"
        assert pipe.defaults == {"temperature": 0.5}
        [answer] = pipe("Once there was", max_new_tokens=4)
    assert answer["generated_text"].startswith("Once there was")


def test_int8_can_have_a_scale_a_column(llama: Path, texts: Path, tmp_path: Path) -> None:
    from nlplug.export.quantize import Quantization

    report = export_model(
        ExportConfig(
            source=llama,
            output=tmp_path / "out",
            task=Tales(),
            precisions=("int8",),
            budget=1.0,
            quantization=Quantization(blocks=False),
        )
    )
    assert report.graph == "fast: 2 layers, llama"
    assert list(report.bundle.precisions) == ["int8"]
    assert report.results[-1].metric == "expected agreement with PyTorch"


def test_a_loss_above_the_budget_is_refused(llama: Path, texts: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"source": llama, "task": Tales(), "eval_data": texts}
    settings |= {"repair_seconds": 0, "allow": ("answers",)}
    with pytest.raises(GateRefused, match="of bits per byte against PyTorch"):
        export_model(
            ExportConfig(
                **settings, output=tmp_path / "out", precisions=("int8",), budget=0, eval_rows=9
            )
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("llama", r"has [\d.]+ bits per byte on 24 of the texts, and equal probabilities for all"),
        ("marian", r"little to do with the 27 rows: their chrf is [\d.]+, and [\d.]+ with the"),
    ],
)
def test_a_model_that_has_learned_nothing_is_refused(
    kind: str, message: str, texts: Path, tmp_path: Path
) -> None:
    rows = [{"source": text, "target": text.lower()} for text in TEXTS]
    data = texts if kind == "llama" else write_jsonl(tmp_path / "pairs.jsonl", rows)
    task = Tales() if kind == "llama" else Words()
    source = checkpoint(tmp_path / kind, kind)
    with pytest.raises(ExportError, match=message) as caught:
        export_model(ExportConfig(source, tmp_path / "out", task, ("fp32",), eval_data=data))
    assert "--allow answers" in str(caught.value.hint)


def test_half_precision_is_not_offered(llama: Path, tmp_path: Path) -> None:
    config = ExportConfig(source=llama, output=tmp_path / "out", task=Tales(), precisions=("fp16",))
    with pytest.raises(OptionError, match="no precision 'fp16'") as caught:
        export_model(config)
    assert caught.value.hint == "Models for tales can have fp32, int8."


def test_another_models_graph_is_found_out(tales: ExportReport, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    other = checkpoint(tmp_path / "other", "llama", seed=1)
    model = AutoModelForCausalLM.from_pretrained(other).eval()
    decoder = open_decoder(tales.bundle.onnx_file("fp32"), context=64, threads=1)
    evaluation = TextGenerationEvaluation([])

    def answers(logits: Any, _: Any) -> list[Any]:
        return [likelihood_scorer(tales.bundle, logits).likelihood(text) for text in TEXTS[:4]]

    rows = DecodingRows(
        prompts=[[5 + row, 40 + row] for row in range(20)],
        options=DecodingOptions(max_new_tokens=6, eos=(1,)),
        origin="",
        evaluation=evaluation,
        answers=answers,
        targets=[None] * 4,
    )
    gate = DecodingGate(rows, TorchDecoder(model), budget=0.005)
    result = gate.judge("fp32", decoder)
    assert result.parity["identical"] < 0.5
    difference = (
        evaluation.report(answers(partial(token_logits, decoder), []), [])["bits_per_byte"]
        - gate.reference_metrics()["bits_per_byte"]
    )
    assert result.loss.mean == pytest.approx(difference, abs=1e-5)
    with pytest.raises(ExportError, match="generates other texts than PyTorch for"):
        _check_fp32(result.parity)


def test_without_a_fast_form_the_plain_graph_is_taken_and_said(tmp_path: Path, texts: Path) -> None:
    import torch
    from transformers import OPTConfig, OPTForCausalLM

    folder = checkpoint(tmp_path / "opt", "llama")
    torch.manual_seed(0)
    config = OPTConfig(
        vocab_size=304,
        hidden_size=32,
        word_embed_proj_dim=32,
        ffn_dim=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        eos_token_id=1,
        bos_token_id=1,
        pad_token_id=0,
    )
    OPTForCausalLM(config).save_pretrained(folder)
    report = export_model(
        ExportConfig(source=folder, output=tmp_path / "out", task=Tales(), budget=1.0)
    )
    assert report.graph == "plain: no fast form for architecture 'opt'"
    assert list(report.bundle.precisions) == ["fp32", "int8"]
    assert report.results[0].parity["agreement"] > 0.99
    with Pipeline(Tales(), report.bundle, threads=1) as pipe:
        assert pipe("Once", max_new_tokens=2, do_sample=False)


def test_an_encoder_and_its_decoder_are_written_and_held_to_chrf(words: ExportReport) -> None:
    fp32, int8 = words.results
    assert fp32.parity["identical"] + fp32.parity["ties"] / fp32.parity["rows"] == 1
    assert fp32.metric == "chrf"
    assert fp32.metrics["chrf"] == pytest.approx(words.reference["chrf"], abs=1e-3)
    assert "chrf" in int8.metrics
    bundle = Bundle.open(words.bundle.path, verify=True)
    for precision, ending in (("fp32", ""), ("int8", "_int8")):
        for graph in ("encoder_model", "decoder_model_merged"):
            assert bundle.onnx_file(precision, graph).name == f"{graph}{ending}.onnx"
    sizes = {name: bundle.onnx_file(name).stat().st_size for name in ("fp32", "int8")}
    assert sizes["int8"] < 0.7 * sizes["fp32"]
    with Pipeline(Words(), bundle, threads=1) as pipe:
        [answer] = pipe("a small cat", max_new_tokens=8)
    assert isinstance(answer["other_words"], str)


def test_pytorch_and_the_graphs_read_given_answers_alike(words: ExportReport) -> None:
    from nlplug.runtime.decoding.open import open_encoder_decoder

    bundle = words.bundle
    decoder = open_encoder_decoder(
        bundle.onnx_file("fp32", "encoder_model"), bundle.onnx_file("fp32"), threads=1
    )
    from transformers import AutoModelForSeq2SeqLM

    folder = bundle.path.parent / "checkpoint"
    reference = TorchDecoder(AutoModelForSeq2SeqLM.from_pretrained(folder).eval())
    sources, right = [[5, 6, 7, 1], [9, 1]], [[4, 8, 1], [3, 3, 3, 3, 1]]
    for one, two in zip(
        reference.logits(sources, right), token_logits(decoder, sources, right), strict=True
    ):
        np.testing.assert_allclose(one, two, atol=1e-3)


def write_t5(folder: Path, model_type: str) -> Path:
    """Random weights, with a unigram tokenizer of the texts."""
    import torch
    from transformers import AutoConfig, AutoModelForSeq2SeqLM

    tokenizer = train_tokenizer(
        TEXTS, kind="unigram", size=80, end="</s>", max_length=64, closed=True
    )
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        model_type,
        vocab_size=len(tokenizer),
        d_model=32,
        d_kv=16,
        d_ff=64,
        num_layers=2,
        num_heads=2,
        decoder_start_token_id=tokenizer.pad_token_id,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    model = AutoModelForSeq2SeqLM.from_config(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("model_type", ["t5", pytest.param("mt5", marks=pytest.mark.long)])
def test_a_t5_exports_and_answers(tmp_path: Path, model_type: str) -> None:
    report = export_model(
        ExportConfig(
            source=write_t5(tmp_path / "checkpoint", model_type),
            output=tmp_path / "bundle",
            task=Words(),
            budget=1.0,
        )
    )
    assert report.graph == f"fast: 2 and 2 layers, {model_type}"
    assert list(report.bundle.precisions) == ["fp32", "int8"]
    assert report.results[0].parity["agreement"] == 1
    with Pipeline(Words(), report.bundle, threads=1) as pipe:
        [answer] = pipe("a small cat", max_new_tokens=4)
    assert isinstance(answer["other_words"], str)


@needs_optimum
def test_tracing_leaves_the_model_able_to_run_in_pytorch(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForSeq2SeqLM

    folder = write_t5(tmp_path / "checkpoint", "t5")
    model = AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    before = model.encoder.config.to_dict(), model.config.to_dict()
    ids = torch.tensor([[5, 6, 1]])
    expected = model(ids, decoder_input_ids=ids).logits
    graphs = installed_exporter().encoder_decoder(model, tmp_path)
    assert list(graphs) == ["encoder_model", "decoder_model_merged"]
    assert (model.encoder.config.to_dict(), model.config.to_dict()) == before
    assert torch.equal(model(ids, decoder_input_ids=ids).logits, expected)


WHOLE = {"identical": 1.0, "rows": 100, "ties": 0, "max_abs_diff": 0.0, "largest": 4.0}


@pytest.mark.parametrize(
    ("changes", "broken"),
    [
        ({}, False),
        ({"identical": 0.97, "ties": 3}, False),
        ({"identical": 0.96, "ties": 3}, True),
        ({"max_abs_diff": 0.004}, False),  # a thousandth of the largest logit
        ({"max_abs_diff": 0.0041}, True),
        ({"max_abs_diff": 0.0009, "largest": 0.1}, False),  # but at least of one
        ({"max_abs_diff": 0.0011, "largest": 0.1}, True),
        ({"max_abs_diff": float("nan")}, True),
    ],
)
def test_float32_must_be_identical_but_for_ties_and_rounding(
    changes: dict[str, float], broken: bool
) -> None:
    parity = WHOLE | changes
    if not broken:
        _check_fp32(parity)
        return
    with pytest.raises(ExportError, match="the export is broken"):
        _check_fp32(parity)


def test_outlier_channels_of_a_decoder_are_repaired(tmp_path: Path) -> None:
    source = checkpoint(tmp_path / "llama", "llama")
    decoder_value_outliers(1e3)(source)
    report = export_model(ExportConfig(source, tmp_path / "out", Tales(), budget=3e-4))
    assert set(report.bundle.precisions) == {"fp32", "int8"}
    _, configured, *repairs = report.attempts
    assert "above the budget" in (configured.refused or "")
    assert [one.refused is None for one in repairs] == [False] * (len(repairs) - 1) + [True]
    assert repairs[-1].agreement > configured.agreement + 0.2
