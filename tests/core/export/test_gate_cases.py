"""The acceptance suite of the gate: damaged and hard checkpoints, see docs/gate.md."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gate_cases as cases
import numpy as np
import onnx
import pytest
from gate_cases import PROPERTY, Case

from nlplug.errors import ExportError, OptionError
from nlplug.export.gate import GateResult
from nlplug.export.paired import PairedLoss
from nlplug.export.preflight.record import RECORD_FILE, write_record
from nlplug.export.repair.attempt import AS_CONFIGURED, Attempt
from nlplug.export.repair.ladder import Form, RepairClock
from nlplug.export.repair.run import repair, unrepaired
from nlplug.export.repair.sensitive import ranked
from nlplug.export.run import ExportConfig, ExportReport, export_model
from nlplug.task import Task

pytestmark = pytest.mark.train

NAN = float("nan")
WORDS = "bert.embeddings.word_embeddings.weight"
SWAPPED = {"0": "positive", "1": "negative"}
ALL = ("fp32", "fp16", "int8")

DAMAGED = [
    Case("NaN in a used row", cases.row_of(20, NAN), rf"{WORDS} .* NaN .* row 20 \(token 'is'\)"),
    Case(
        "infinite bias",
        cases.set_tensor("bert.encoder.layer.1.output.dense.bias", float("inf")),
        r"layer\.1\.output\.dense\.bias has 32 of 32 values that are infinite",
    ),
    Case(
        "zeroed head",
        cases.set_tensor("classifier.weight", 0.0),
        r"classifier\.weight has only zeros",
    ),
    Case(
        "equal rows of the head",
        cases.set_tensor("classifier.weight", 0.5),
        r"classifier\.weight has 2 equal rows",
    ),
    Case("swapped labels", cases.config(id2label=SWAPPED), "The labels are swapped: 0.*"),
    Case(
        "swapped labels, record",
        cases.config(id2label=SWAPPED),
        r'id2label is \{"0": "positive"',
        record=True,
    ),
    Case(
        "shuffled vocabulary",
        cases.shuffled_vocabulary,
        r"tokenizer\.json and vocab\.txt give 24 tokens other ids: 'good' has 19 and 5",
    ),
    Case(
        "shuffled vocabulary, one file",
        cases.without("vocab.txt", cases.shuffled_vocabulary),
        r"is right for 4.\..% of 240 rows, and the label '.*' alone would be for 50\.0%",
    ),
    Case(
        "shuffled vocabulary, one file, record",
        cases.without("vocab.txt", cases.shuffled_vocabulary),
        r"the tokenizer reads 'The train .* otherwise \(token 1 is now 'the', id 8",
        record=True,
    ),
    Case(
        "heads that do not divide",
        cases.config(num_attention_heads=3),
        "num_attention_heads is 3 in config.json, which does not divide hidden_size 32",
    ),
    Case(
        "no heads",
        cases.config(num_attention_heads=0),
        "num_attention_heads is 0 in config.json, which is not a number above 0",
    ),
    Case(
        "epsilon as a text",
        cases.config(layer_norm_eps="1e-12"),
        "layer_norm_eps is '1e-12' in config.json",
    ),
    Case(
        "wrong number of segments",
        cases.config(type_vocab_size=1),
        r"asks for 1 x 32 \(type_vocab_size is 1, the tensor has 2\)\.",
    ),
    Case(
        "wrong number of heads, record",
        cases.config(num_attention_heads=2),
        "num_attention_heads is 2 in config.json and was 4",
        record=True,
    ),
    Case(
        "wrong window",
        cases.config(max_position_embeddings=512),
        "max_position_embeddings is 512, the tensor has 64",
    ),
    Case(
        "wrong window of the tokenizer",
        lambda folder: cases.change_json(folder, "tokenizer_config.json", model_max_length=4),
        "model_max_length is 4 .* has 64 positions",
    ),
    Case("wrong epsilon", cases.config(layer_norm_eps=0.5), "layer_norm_eps is 0.5 in config.json"),
    Case(
        "wrong epsilon, record",
        cases.config(layer_norm_eps=1e-4),
        r"layer_norm_eps is 0\.0001 in config\.json and was 1e-12",
        record=True,
    ),
    Case(
        "wrong activation, record",
        cases.config(hidden_act="relu"),
        'hidden_act is "relu" in config.json and was "gelu"',
        record=True,
    ),
    Case(
        "unknown activation",
        cases.config(hidden_act="geluu"),
        "hidden_act is 'geluu' in config.json, and there is no such activation",
    ),
    Case(
        "lower-casing off",
        cases.cased,
        "None of the 24 tokens has a capital letter, but the tokenizer does not lower-case",
    ),
    Case(
        "truncated weights",
        cases.truncated("model.safetensors"),
        r"model\.safetensors is truncated: it has [\d,]+ of [\d,]+ bytes, and the end of",
    ),
    Case(
        "truncated tokenizer",
        cases.truncated("tokenizer.json"),
        r"tokenizer\.json \([\d,]+ bytes\) is not valid JSON",
    ),
    Case(
        "truncated configuration", cases.truncated("config.json"), r"config\.json .* not valid JSON"
    ),
    Case(
        "token ids beyond the table",
        cases.added_token,
        "beyond the 64 rows of the embeddings, the first is 'film' with the id 999",
    ),
    Case(
        "missing tensor",
        cases.drop_tensor("bert.encoder.layer.0.output.dense.weight"),
        r"has no weights for bert\.encoder\.layer\.0\.output\.dense\.weight: 1 tensors are missing",
    ),
    Case(
        "wrong number of labels",
        cases.config(id2label={"0": "a", "1": "b", "2": "c"}),
        r"classifier\.weight has the shape 2 x 32, .* 3 x 32 \(num_labels is 3, the tensor has 2\)",
    ),
    Case(
        "too few layers",
        cases.config(num_hidden_layers=1),
        r"16 tensors of layers that the model does not have, such as bert\.encoder\.layer\.1",
    ),
    Case(
        "zeros in the row of a used token",
        cases.zero_rows(WORDS, slice(20, 21)),
        rf"{WORDS} has only zeros in row 20 \(token 'is'\)",
    ),
    Case(
        "second half of a weight is missing",
        cases.zero_rows("bert.encoder.layer.1.output.dense.weight", slice(16, None)),
        r"layer\.1\.output\.dense\.weight has only zeros in its rows 16 to 31 of 32: it was saved",
    ),
    Case(
        "a layer written twice",
        cases.tensors(cases.repeated_layer),
        r"bert\.encoder\.layer\.1 has the same weights as bert\.encoder\.layer\.0",
    ),
    Case(
        "a weight stored as int8",
        cases.integers("bert.encoder.layer.0.intermediate.dense.weight"),
        r"layer\.0\.intermediate\.dense\.weight is stored as integers \(I8\)",
    ),
    Case(
        "lower-casing of a vocabulary with capitals",
        cases.capitals,
        r"24 of the 24 tokens have capital letters, such as '\w+', but the tokenizer lower-cases",
    ),
    Case(
        "transposed weights",
        cases.transposed("attention.output.dense"),
        r"attention\.output\.dense\.weight seems to be transposed: the other way round the",
    ),
    Case(
        "gains of all norms x 60, not undone",
        cases.raw_gains(60),
        r"answers 'positive' for all 240 rows.*LayerNorm\.weight, channel 7, is \d\d.* times the",
    ),
]
"""The export stops, and names the cause."""

HARD = [
    Case("value outliers x 100", cases.value_outliers(100), "", ("fp32", "int8")),
    Case("value outliers x 1,000", cases.value_outliers(1e3), "int8 loses", ("fp32", "int8")),
    Case("output outliers x 100", cases.output_outliers(100), "", ("fp32", "int8")),
    Case("output outliers x 1,000", cases.output_outliers(1e3), "int8 loses", ("fp32", "int8")),
    Case("norm gains x 60", cases.norm_gains(60), "", ("fp32", "int8")),
    Case("norm gains x 1,000", cases.norm_gains(1e3), "int8 loses", ("fp32", "int8")),
    Case("norm gains x 1e5", cases.norm_gains(1e5), "int8 loses", ("fp32", "int8")),
    Case("values x 1,000, not undone", cases.raw_values(1e3), "", ("fp32", "int8")),
    Case("feed-forward outliers", cases.intermediate_outliers(1e3), "", ("fp32", "int8")),
    Case(
        "activations beyond fp16",
        cases.value_outliers(1e6),
        r"fp16 ends at 65504, and .*Attention.* has numbers up to",
        ALL,
        precisions=ALL,
    ),
    Case(
        "unseen row x 1e8",
        cases.scale_row(4, 1e8),
        r"fp16 ends at 65504, and /bert/embeddings/word_embeddings/Gather has numbers",
        ALL,
        precisions=ALL,
    ),
    Case(
        "NaN in an unused row",
        cases.row_of(4, NAN),
        r"row 4 \(token '\[MASK\]'\)\. None of the rows compared has these tokens",
        ("fp32", "int8"),
    ),
    Case(
        "NaN in the row of the padding",
        cases.row_of(0, NAN),
        r"row 0 \(token '\[PAD\]'\)",
        ("fp32", "int8"),
    ),
    Case(
        "wrong id of the padding",
        cases.config(pad_token_id=7),
        r"pad_token_id is 7 in config\.json, but the tokenizer pads with 0",
        ("fp32", "int8"),
    ),
]
"""The answers of PyTorch are right; what fails is repaired."""


def _name(case: Case) -> str:
    return case.name


def damaged(source: Path, folder: Path, case: Case) -> Path:
    shutil.copytree(source, folder)
    case.damage(folder)
    if not case.record:
        (folder / RECORD_FILE).unlink()
    return folder


def _outcome(report: ExportReport, said: Sequence[str]) -> list[str]:
    """Caught, message, repair and cost of a hard case, for the table of docs/gate.md."""
    holding = [one for one in report.attempts if one.form != AS_CONFIGURED and not one.refused]
    if not said:
        return ["nothing fails", "-", "not needed", "-"]
    first = {one.precision: one for one in report.attempts if one.form == AS_CONFIGURED}
    costs = [
        f"{one.precision}: {one.size / first[one.precision].size - 1:+.0%} bytes, "
        f"{one.seconds:.1f} s"
        for one in holding
    ]
    repairs = "; ".join(f"{one.precision}: {one.form}" for one in holding)
    return ["yes", said[0], repairs or "yes, in the loaded model", "; ".join(costs) or "none"]


@pytest.fixture(scope="module")
def sound(trained_bert: Path, toy_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained model, without the large row of [MASK], and with its record."""
    from transformers import BertForSequenceClassification

    folder = tmp_path_factory.mktemp("sound") / "checkpoint"
    shutil.copytree(trained_bert, folder)
    cases.scale_row(toy_tokenizer.mask_token_id, 1e-4)(folder)
    model = BertForSequenceClassification.from_pretrained(folder).eval()
    write_record(folder, model, toy_tokenizer)
    return folder


def exported(case: Case, source: Path, task: Task, data: Path, folder: Path) -> ExportReport:
    return export_model(
        ExportConfig(
            damaged(source, folder / "checkpoint", case),
            folder / "out",
            task,
            case.precisions,
            eval_data=data,
        )
    )


def test_a_sound_checkpoint_passes_all_checks(
    sound: Path, toy_task: Task, toy_data: Path, tmp_path: Path
) -> None:
    case = Case("sound", lambda folder: None, "", record=True, precisions=ALL)
    report = exported(case, sound, toy_task, toy_data, tmp_path)
    assert set(report.bundle.precisions) == set(ALL)
    assert report.findings == []
    assert [(one.form, one.refused) for one in report.attempts] == [(AS_CONFIGURED, None)] * 3


@pytest.mark.parametrize("case", DAMAGED, ids=_name)
def test_a_damaged_checkpoint_is_refused_with_the_cause(
    case: Case,
    sound: Path,
    toy_task: Task,
    toy_data: Path,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    with pytest.raises(ExportError, match=case.found) as caught:
        exported(case, sound, toy_task, toy_data, tmp_path)
    assert caught.value.hint
    assert not (tmp_path / "out").exists()
    said = re.sub(r"^\S+ (is not exported: )?", "", caught.value.message)
    record_property(PROPERTY, [case.name, "yes", said, "no: stops", "-"])


@pytest.mark.parametrize("case", HARD, ids=_name)
def test_what_fails_of_a_hard_checkpoint_is_repaired(
    case: Case,
    sound: Path,
    toy_task: Task,
    toy_data: Path,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    report = exported(case, sound, toy_task, toy_data, tmp_path)
    assert set(report.bundle.precisions) == set(case.repaired)
    assert all(result.loss.mean <= 0.005 for result in report.results)
    gate = report.bundle.manifest.metrics["gate"]
    said = [one["refused"] for one in gate["tried"] if one["refused"]] + gate["findings"]
    assert bool(said) == bool(case.found)
    assert re.search(case.found, " ".join(said))
    record_property(PROPERTY, [case.name, *_outcome(report, said)])


def test_without_time_for_repairs_the_refusal_stands(
    sound: Path, toy_task: Task, toy_data: Path, tmp_path: Path
) -> None:
    source = damaged(sound, tmp_path / "checkpoint", HARD[1])
    report = export_model(
        ExportConfig(
            source, tmp_path / "out", toy_task, ("fp32", "int8"), toy_data, repair_seconds=0
        )
    )
    assert list(report.bundle.precisions) == ["fp32"]
    assert [one.form for one in report.attempts] == [AS_CONFIGURED, AS_CONFIGURED]


def test_the_product_that_reads_outliers_is_ranked_first(
    sound: Path, toy_task: Task, toy_data: Path, tmp_path: Path
) -> None:
    source = damaged(sound, tmp_path / "checkpoint", HARD[1])
    config = ExportConfig(source, tmp_path / "out", toy_task, ("fp32",), toy_data)
    graph = onnx.load(str(export_model(config).bundle.onnx_file("fp32")))
    ids = np.array([[2, 5, 17, 18, 3], [2, 11, 20, 21, 3]], np.int64)
    feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": ids * 0}
    ranking = ranked(graph, [feed], lambda: True)
    assert re.search(r"layer\.[01]/attention/output/dense", ranking[0].layer)
    result = GateResult("int8", {}, PairedLoss(0.5, 0.4, 0.6, 9), "accuracy", refused="int8 is bad")
    said = unrepaired(result, [], ranking).refused or ""
    assert said.startswith("int8 is bad; ")
    assert f"most is lost by {ranking[0].layer}" in said


def test_no_repair_starts_when_the_time_is_over(tmp_path: Path) -> None:
    def built() -> None:
        raise AssertionError("This form must not be built.")

    def _never(path: Path) -> GateResult:
        raise AssertionError("There is nothing to judge.")

    (tmp_path / "onnx").mkdir()
    attempts: list[Attempt] = []
    clock = RepairClock(0.0)
    target = tmp_path / "onnx" / "model_int8.onnx"
    found = repair("int8", [Form("late", built)], target, _never, clock, attempts)
    assert found is None
    assert [one.refused for one in attempts] == ["the time for repairs is over"]


def test_an_allowed_check_does_not_stop_the_export(
    sound: Path, toy_task: Task, toy_data: Path, tmp_path: Path
) -> None:
    source = damaged(sound, tmp_path / "checkpoint", Case("", cases.raw_gains(60), ""))
    config = ExportConfig(
        source, tmp_path / "out", toy_task, ("fp32",), toy_data, allow=("answers",)
    )
    report = export_model(config)
    assert [one.check for one in report.findings] == ["answers"]
    assert report.bundle.manifest.metrics["gate"]["findings"] == [report.findings[0].message]


def test_an_unknown_check_cannot_be_allowed(sound: Path, toy_task: Task, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no check 'weights' to allow"):
        export_model(ExportConfig(sound, tmp_path / "out", toy_task, allow=("weights",)))
