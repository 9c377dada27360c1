"""Ways to train: adapters, several seeds, a teacher, and a search for settings."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toy_set import toy_rows, write_jsonl

from nlplug.errors import MissingExtra, OptionError, TrainingError
from nlplug.families.span_extraction import SpanExtractionTask
from nlplug.task import Task
from nlplug.testing import tiny_text_classifier
from nlplug.train.config import TrainConfig
from nlplug.train.run import fine_tune
from nlplug.train.workspace import Workspace

pytestmark = pytest.mark.train
Make = Callable[..., TrainConfig]


def record(config: TrainConfig) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Workspace.of(config).folder / "run.json").read_text())
    return found


def weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return dict(load_file(folder / "model.safetensors"))


@pytest.mark.parametrize("adapter", ["lora", "rslora"])
def test_adapters_are_trained_and_merged(
    toy_task: Task, config: Make, tiny_bert: Path, adapter: str
) -> None:
    folder = fine_tune(toy_task, config(adapter=adapter, learning_rate=0.01, epochs=2, average=2))
    before, after = weights(tiny_bert), weights(folder)
    assert set(after) == {f"bert.{name}" for name in before} | {
        "classifier.weight",
        "classifier.bias",
        *(f"bert.pooler.dense.{part}" for part in ("weight", "bias")),
    }
    changed = {name for name in before if bool((before[name] != after[f"bert.{name}"]).any())}
    assert any("attention.self.query.weight" in name for name in changed)
    assert not any("pooler" not in name and name.endswith(".bias") for name in changed)
    assert not any(name.startswith("embeddings.") for name in changed)


def test_the_merged_weights_answer_as_the_adapters_did(
    toy_task: Task, config: Make, tiny_bert: Path
) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification

    from nlplug.train.adapters import add_adapters, merge_adapters

    model = AutoModelForSequenceClassification.from_pretrained(tiny_bert)
    add_adapters(model, config(adapter="lora", adapter_rank=3))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.copy_(torch.randn(parameter.shape))
    ids = torch.tensor([[2, 5, 6, 7, 3]])
    adapted = model.eval()(ids)["logits"]
    merge_adapters(model)
    assert not any("lora" in name for name in model.state_dict())
    assert torch.allclose(model(ids)["logits"], adapted, atol=1e-5)


def test_several_seeds_are_averaged_where_that_is_not_worse(
    toy_task: Task, config: Make, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level("INFO", logger="nlplug.train")
    settings = config(seeds=3, epochs=3)
    fine_tune(toy_task, settings)
    [line] = [text for text in caplog.messages if text.startswith("Seeds: ")]
    *runs, mean = (float(score) for score in re.findall(r"\d\.\d+", line))
    assert len(runs) == 3
    assert record(settings)["scores"]["accuracy"] == pytest.approx(max(*runs, mean), abs=1e-4)


def test_a_resumed_run_keeps_the_seeds_that_are_finished(
    toy_task: Task, config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nlplug.train import loop

    numbers: list[int] = []
    once = loop._Run._train_once

    def counted(self: Any, model: Any, rows: Any, folder: Path, number: int, part: str) -> None:
        numbers.append(number)
        if numbers == [1, 2]:
            raise KeyboardInterrupt
        once(self, model, rows, folder, number, part)

    monkeypatch.setattr(loop._Run, "_train_once", counted)
    with pytest.raises(KeyboardInterrupt):
        fine_tune(toy_task, config(seeds=3, epochs=1))
    fine_tune(toy_task, config(seeds=3, epochs=1, resume=True))
    assert numbers == [1, 2, 2]


@pytest.mark.long
def test_few_rows_are_averaged_in_the_cross_validation_too(
    toy_task: Task, config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nlplug.train.trials._ENOUGH", 1)  # one fold
    data = str(write_jsonl(tmp_path / "few.jsonl", toy_rows(40)))
    settings = config(data=[data], eval=[], seeds=2, epochs=1, probe=False)
    folder = fine_tune(toy_task, settings)
    assert json.loads((folder.parent / "trial.json").read_text())["folds"] == 1
    assert not [*folder.parent.glob("seed-*")], "only the result stays"


def test_a_teacher_labels_texts_and_softens_labels(
    toy_task: Task, config: Make, tmp_path: Path
) -> None:
    words = {"good": (-4.0, 4.0), "lovely": (-4.0, 4.0), "dull": (4.0, -4.0), "bad": (4.0, -4.0)}
    teacher = tiny_text_classifier(tmp_path / "teacher", words, labels=("bad", "good"))
    rows = toy_rows(200)
    labelled = str(write_jsonl(tmp_path / "labelled.jsonl", rows[:20]))
    more = str(write_jsonl(tmp_path / "more.jsonl", [{"text": row["text"]} for row in rows[20:]]))
    settings = config(
        data=[labelled], teacher=str(teacher.path), unlabelled=[more], teacher_temperature=1.0
    )
    fine_tune(toy_task, settings)
    assert record(settings)["scores"]["accuracy"] > 0.9


def test_a_teacher_with_other_labels_is_refused(
    toy_task: Task, config: Make, tmp_path: Path
) -> None:
    teacher = tiny_text_classifier(tmp_path / "teacher", labels=("no", "yes"))
    with pytest.raises(TrainingError, match="no, yes"):
        fine_tune(toy_task, config(teacher=str(teacher.path)))


def test_hidden_states_of_a_teacher_are_learned(
    toy_task: Task, config: Make, tiny_bert: Path, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel

    from nlplug.train.states import StatesTeacher

    shape = BertConfig.from_pretrained(tiny_bert, num_hidden_layers=1, intermediate_size=24)
    tokenizer = AutoTokenizer.from_pretrained(tiny_bert)
    torch.manual_seed(1)
    BertModel(shape).save_pretrained(tmp_path / "student")
    tokenizer.save_pretrained(tmp_path / "student")
    inputs = tokenizer(["a good film", "bad"], padding=True, return_tensors="pt")
    settings = config(
        base=str(tmp_path / "student"), teacher_states=str(tiny_bert), teacher_states_weight=10.0
    )
    errors = []
    for folder in (tmp_path / "student", fine_tune(toy_task, settings)):
        student = AutoModel.from_pretrained(folder)
        teacher = StatesTeacher(str(tiny_bert), student, tokenizer)
        with torch.no_grad(), teacher.recorded(student) as states:
            student.eval()(**inputs)
        assert len(states) == 1
        errors.append(float(teacher.loss(inputs, states)))
    assert errors[1] < 0.5 * errors[0]


def test_hidden_states_of_another_shape_are_refused(
    toy_task: Task, config: Make, tiny_bert: Path, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer, BertConfig, BertModel

    shape = BertConfig.from_pretrained(tiny_bert, hidden_size=8)
    BertModel(shape).save_pretrained(tmp_path / "narrow")
    AutoTokenizer.from_pretrained(tiny_bert).save_pretrained(tmp_path / "narrow")
    with pytest.raises(TrainingError, match="hidden size is 8"):
        fine_tune(toy_task, config(teacher_states=str(tmp_path / "narrow")))


def test_a_search_begins_with_the_plan_and_keeps_what_is_given(
    toy_task: Task, config: Make
) -> None:
    settings = config(search_minutes=0.02, epochs=1)
    settings.model_fields_set.discard("learning_rate")
    fine_tune(toy_task, settings)
    found = json.loads(Workspace.of(settings).search_file.read_text())
    first = found["tried"][0]
    assert first["learning_rate"] == 3e-4  # the plan's, for so small a base
    assert "epochs" not in first
    assert found["best"]["score"] == max(each["score"] for each in found["tried"])
    chosen = record(settings)["config"]
    assert {name: chosen[name] for name in found["best"] if name != "score"} == {
        name: value for name, value in found["best"].items() if name != "score"
    }


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"unlabelled": ["texts.txt"]}, "teacher"),
        ({"adapter": "lora", "freeze": "encoder"}, "freeze"),
        ({"adapter": "lora", "simulate_int8": True}, "simulate_int8"),
    ],
)
def test_ways_that_do_not_fit_together_are_refused(
    toy_task: Task, config: Make, given: dict[str, Any], named: str
) -> None:
    with pytest.raises(OptionError, match=named):
        fine_tune(toy_task, config(**given))


def test_a_family_without_a_way_is_named(config: Make) -> None:
    class Answers(SpanExtractionTask):
        name = title = description = "answers"

    with pytest.raises(OptionError, match="span_extraction"):
        fine_tune(Answers(), config(teacher="x"))
    with pytest.raises(OptionError, match="span_extraction"):
        fine_tune(Answers(), config(private_epsilon=8))


def test_a_missing_package_is_named(
    toy_task: Task, config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nlplug.train.ways.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="peft") as caught:
        fine_tune(toy_task, config(adapter="lora"))
    assert "nlplug[ways]" in str(caught.value.hint)
