"""A record of held-out rows: temperature, and sets of labels that contain the right one."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from nlplug import Pipeline
from nlplug.cli.main import main
from nlplug.errors import BundleCorrupt, DataError, OptionError
from nlplug.evaluation.compare import compare
from nlplug.evaluation.held_out import add_held_out
from nlplug.evaluation.report import as_text
from nlplug.evaluation.run import evaluate
from nlplug.families.sequence_classification.confidence import Confidence
from nlplug.models.bundle import Bundle
from nlplug.models.layout import CONFIDENCE_FILE
from nlplug.models.manifest import Manifest
from nlplug.models.writer import BundleWriter
from nlplug.testing import tiny_text_classifier, tiny_token_classifier
from nlplug_classification.task import ClassificationTask
from nlplug_ner.task import NerTask

# A text of one word has a third of that word's weights as logits. The model is too sure: the labels
# of the rows have the shares that its logits have at the temperature 2.
WORDS = {"sure": (12.0, 0.0, 0.0), "torn": (6.0, 5.0, 0.0), "hm": (0.0, 0.0, 0.0)}
LABELS = ("wake", "laugh", "oos")


def rows(count: int, seed: int = 0) -> list[dict[str, str]]:
    """Texts whose labels are drawn, so that the scores of the model are not their shares."""
    powers = {text: np.exp(np.array(weights) / 3 / 2) for text, weights in WORDS.items()}
    source = np.random.default_rng(seed)
    return [
        {"text": str(text), "label": str(source.choice(LABELS, p=power / power.sum()))}
        for text in source.choice(list(WORDS), size=count)
        for power in (powers[text],)
    ]


def written(folder: Path, values: Sequence[Mapping[str, Any]]) -> Path:
    file = folder / f"rows-{len(values)}.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in values), encoding="utf-8")
    return file


def with_manifest(made: Bundle, target: Path, **more: object) -> Bundle:
    with BundleWriter(target) as writer:
        for path in made.path.rglob("*"):
            if path.is_file():
                copy = writer.folder / path.relative_to(made.path)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(path.read_bytes())
        values = {"name": "mine", "task": "classification", "labels": list(made.labels), **more}
        return writer.commit(Manifest.model_validate(values))


@pytest.fixture
def plain(tmp_path: Path) -> Bundle:
    made = tiny_text_classifier(tmp_path / "made", WORDS, labels=LABELS)
    options = {"min_score": 0.6, "abstain_label": "none"}
    return with_manifest(made, tmp_path / "mine", options=options)


@pytest.fixture
def recorded(plain: Bundle, tmp_path: Path) -> Bundle:
    return add_held_out(ClassificationTask(), plain, written(tmp_path, rows(3000)))[0]


@pytest.fixture
def pipe(recorded: Bundle) -> Iterator[Pipeline]:
    with Pipeline(ClassificationTask(), recorded, threads=1) as pipe:
        yield pipe


def test_the_quantile_has_the_correction_for_finite_samples() -> None:
    record = Confidence(right=[step / 10 for step in range(10)])
    # ceil(11 * 0.8) = 9 of 10: all but the lowest score.
    assert record.least_score(0.8) == 0.1
    assert record.least_score(0.5) == 0.4
    # ceil(11 * 0.95) = 11 of 10: too few rows, so every label is in the set.
    assert record.least_score(0.95) == 0.0


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), coverage=st.sampled_from([0.7, 0.8, 0.9, 0.95]))
def test_sets_cover_as_many_new_rows_as_asked(seed: int, coverage: float) -> None:
    """5 standard deviations: of the quantile of 3,000 rows, and of the share of 3,000 others."""
    scores = np.random.default_rng(seed).beta(5, 1, size=6000)
    least = Confidence(right=np.sort(scores[:3000]).tolist()).least_score(coverage)
    share = float((scores[3000:] >= least).mean())
    assert abs(share - coverage) < 5 * math.sqrt(2 * coverage * (1 - coverage) / 3000)


def test_the_sets_of_a_model_cover_new_rows(pipe: Pipeline) -> None:
    new = rows(3000, seed=1)
    sets = pipe([row["text"] for row in new], coverage=0.9)
    held = [row["label"] in [item["label"] for item in s] for s, row in zip(sets, new, strict=True)]
    # Texts of a kind have the same scores here, so a set holds a whole label more or less.
    assert 0.9 <= sum(held) / len(held) <= 0.96


def test_a_set_is_the_labels_best_first_and_ignores_other_choices(pipe: Pipeline) -> None:
    least = Confidence.of(pipe.bundle).least_score(0.9)
    scores = pipe("torn", top_k=None, min_score=0)
    wanted = [item for item in scores if item["score"] >= least]
    assert pipe("torn", coverage=0.9) == wanted
    assert pipe("torn", coverage=0.9, top_k=1, min_score=0.99) == wanted
    assert pipe(["torn", "torn"], coverage=0.9) == [wanted, wanted]
    assert len(pipe("hm", coverage=0.999)) == 3


def test_the_temperature_makes_scores_probabilities(
    plain: Bundle, tmp_path: Path, pipe: Pipeline
) -> None:
    temperature = Confidence.of(pipe.bundle).temperature
    assert temperature == pytest.approx(2, abs=0.2)
    power = math.exp(4 / temperature)
    best = pipe("sure", min_score=0)[0]["score"]
    assert best == pytest.approx(power / (power + 2), abs=1e-5)
    found = add_held_out(ClassificationTask(), plain, written(tmp_path, rows(3000)))[1]
    assert found["ece_before"] > 0.08
    assert found["ece"] <= 0.03
    raw = pipe("sure", function_to_apply="none", min_score=0)
    assert raw[0]["score"] == pytest.approx(4.0), "logits stay as they are"


def test_as_many_answers_abstain_as_before(plain: Bundle, pipe: Pipeline) -> None:
    moved = pipe.bundle.options["min_score"]
    assert moved != 0.6
    with Pipeline(ClassificationTask(), plain, threads=1) as before:
        for text in WORDS:
            assert ("abstained" in pipe(text)[0]) == ("abstained" in before(text)[0])


def test_the_record_is_part_of_the_bundle_and_of_its_digests(recorded: Bundle) -> None:
    assert recorded.manifest is not None
    assert CONFIDENCE_FILE in recorded.manifest.files
    assert recorded.manifest.metrics["held_out"]["rows"] == 3000
    Bundle.open(recorded.path, verify=True)
    record = json.loads((recorded.path / CONFIDENCE_FILE).read_text())
    (recorded.path / CONFIDENCE_FILE).write_text(json.dumps(record | {"right": ["x"]}))
    with pytest.raises(BundleCorrupt):
        Bundle.open(recorded.path, verify=True)


def test_a_second_record_replaces_the_first(recorded: Bundle, tmp_path: Path) -> None:
    first = Confidence.of(recorded)
    data = written(tmp_path, rows(2999, seed=5))
    made = add_held_out(ClassificationTask(), recorded, data)[0]
    again = Confidence.of(made)
    assert again.temperature == pytest.approx(first.temperature, rel=0.2)
    assert len(again.right) == 2999
    kept = add_held_out(ClassificationTask(), made, data, temperature=False)[0]
    assert Confidence.of(kept).temperature == again.temperature


# --- what is wrong ----------------------------------------------------------------------------


def test_without_a_record_the_error_says_how_to_add_one(plain: Bundle) -> None:
    with (
        Pipeline(ClassificationTask(), plain, threads=1) as pipe,
        pytest.raises(OptionError, match="needs a record of held-out rows") as error,
    ):
        pipe("sure", coverage=0.9)
    assert "nlplug models confidence" in str(error.value.hint)


@pytest.mark.parametrize("coverage", [0.0, 1.0, 1.5, -1, "much"])
def test_a_coverage_out_of_bounds_is_an_error(pipe: Pipeline, coverage: object) -> None:
    with pytest.raises(OptionError, match="coverage"):
        pipe("sure", coverage=coverage)


def test_scores_that_are_no_softmax_have_no_sets(pipe: Pipeline) -> None:
    for name in ("sigmoid", "none"):
        with pytest.raises(OptionError, match=f"softmax, but the activation is '{name}'"):
            pipe("sure", coverage=0.9, function_to_apply=name)


def test_few_rows_make_no_record(plain: Bundle, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="199 rows, but a record needs at least 200"):
        add_held_out(ClassificationTask(), plain, written(tmp_path, rows(199)))
    assert not (plain.path / CONFIDENCE_FILE).exists()


def test_labels_that_do_not_exclude_each_other_are_scaled_one_by_one(
    plain: Bundle, tmp_path: Path
) -> None:
    found = rows(400)
    lists = [{**row, "label": [row["label"]]} for row in found]
    # As in a table: a row with one label has its name alone.
    mixed: list[dict[str, Any]] = [*lists[:200], *found[200:], {"text": "hm", "label": LABELS[:2]}]
    with pytest.raises(DataError, match=r":401: the row has 2 labels, but the labels of the model"):
        add_held_out(ClassificationTask(), plain, written(tmp_path, mixed))

    made = tiny_text_classifier(tmp_path / "several", WORDS, labels=LABELS)
    config = json.loads((made.path / "config.json").read_text())
    config["problem_type"] = "multi_label_classification"
    (made.path / "config.json").write_text(json.dumps(config))
    several = with_manifest(made, tmp_path / "new")
    results = [
        add_held_out(
            ClassificationTask(), several, written(tmp_path, values), output=tmp_path / "out"
        )[1]
        for values in (found, lists, mixed[:400])
    ]
    assert results[0] == results[1] == results[2]
    assert "labels_per_set" not in results[0]


@pytest.mark.parametrize(("part", "told"), [("train", "was trained on"), ("eval", "was chosen on")])
def test_the_file_that_made_a_model_is_told_by_its_digest(
    tmp_path: Path, part: str, told: str
) -> None:
    """Under another name too; a file that only measured it is as good as a new one."""
    file = written(tmp_path, rows(300))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    made = tiny_text_classifier(tmp_path / "made", WORDS, labels=LABELS)

    def model(name: str) -> Bundle:
        data = [{"source": "a.jsonl", "part": name, "sha256": digest}]
        return with_manifest(made, tmp_path / name, data=data)

    with pytest.raises(DataError, match="was trained on this file"):
        add_held_out(ClassificationTask(), model("train"), file)
    for name in ("eval", "test"):
        add_held_out(ClassificationTask(), model(name), file, output=tmp_path / "new")
    with (
        Pipeline(ClassificationTask(), model(part), threads=1) as first,
        Pipeline(ClassificationTask(), model("test"), threads=1) as second,
    ):
        assert told in as_text(evaluate(first, file))
        assert told not in as_text(evaluate(second, file))
        sides = compare(first, second, file).sides
    assert [told in " ".join(side.lines()) for side in sides] == [True, False]


def test_a_task_without_such_a_record_says_so(tmp_path: Path) -> None:
    bundle = tiny_token_classifier(tmp_path / "ner")
    with pytest.raises(OptionError, match="has no record of held-out rows"):
        add_held_out(NerTask(), bundle, written(tmp_path, rows(10)))


@pytest.mark.parametrize(
    "record", [{"temperature": 0}, {"temperature": "x"}, {"right": [None]}, {"more": 1}]
)
def test_a_broken_record_is_an_error(plain: Bundle, record: dict[str, object]) -> None:
    (plain.path / CONFIDENCE_FILE).write_text(json.dumps(record))
    with pytest.raises(BundleCorrupt, match=r"confidence\.json of 'mine' is not a record"):
        Pipeline(ClassificationTask(), Bundle.open(plain.path), threads=1)


# --- the command line -------------------------------------------------------------------------


def test_the_command_adds_a_record(plain: Bundle, tmp_path: Path) -> None:
    data = written(tmp_path, rows(400))
    arguments = ["models", "confidence", str(plain.path), "--data", str(data)]
    done = CliRunner().invoke(main, [*arguments, "--output", str(tmp_path / "new")])
    assert done.exit_code == 0, done.output
    assert "rows: 400" in done.output
    assert not (plain.path / CONFIDENCE_FILE).exists()
    ask = ["run", "classification", "sure", "--model"]
    done = CliRunner().invoke(main, [*ask, str(tmp_path / "new"), "--coverage", "0.9"])
    assert done.exit_code == 0, done.output
    assert "wake" in done.output
    refused = CliRunner().invoke(main, [*ask, str(plain.path), "--coverage", "0.9"])
    assert refused.exit_code == 2
    assert "Hint: Add it to the folder of the model" in refused.output


def test_the_command_leaves_installed_models_as_they_are(tmp_path: Path) -> None:
    data = written(tmp_path, rows(400))
    done = CliRunner().invoke(main, ["models", "confidence", "intents-en", "--data", str(data)])
    assert done.exit_code != 0
    assert "Give --output" in done.output
