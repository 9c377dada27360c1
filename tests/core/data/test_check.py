"""The check of labelled rows before training: each problem is found, and clean rows have none."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from nlplug.cli.main import main
from nlplug.data.check import DataCheck, check_rows
from nlplug.data.contents import Contents
from nlplug.data.findings import Finding
from nlplug.data.lengths import estimate, languages_of, license_of, measure
from nlplug.data.rows import DataRow
from nlplug.errors import DataError, UnknownTask
from nlplug.families.family import load
from nlplug.families.sequence_classification import SequenceClassificationTask
from nlplug.families.sequence_classification.contents import LabelledTexts
from nlplug.families.sequence_classification.settings import SequenceClassificationConfig
from nlplug.families.span_extraction.contents import Questions
from nlplug.families.token_classification.contents import AnnotatedTexts
from nlplug.task import Localized, Task
from nlplug.train.config import LabelledConfig

FAMILIES = {
    "causal_lm": [{"text": "Once upon a time"}, {"prompt": "Why?", "completion": "Because."}],
    "seq2seq": [{"source": "A cat.", "target": "Un chat."}],
    "sequence_classification": [{"text": "good", "label": "a"}, {"text": "bad", "label": "b"}],
    "span_extraction": [{"question": "Who?", "context": "Ada was here.", "answer": "Ada"}],
    "token_classification": [{"tokens": ["Ada", "slept"], "tags": ["B-PER", "O"]}],
}


class ToyTask(SequenceClassificationTask):
    name = "toy"
    title: Localized = "Toy"
    description: Localized = "Good or bad?"


def row(line: int, text: str, label: Any = "x") -> DataRow:
    return DataRow({"text": text, "label": label}, Path("rows.csv"), line)


def checked(
    train: list[DataRow], held: list[DataRow] | None = None, shortage: DataError | None = None
) -> DataCheck:
    settings = SequenceClassificationConfig(base="", data=["rows.csv"], output=Path("out"))
    parts = {"train": train, **({"eval": held} if held else {})}
    return check_rows(LabelledTexts(ToyTask(), settings), parts, [], shortage=shortage)


def found(check: DataCheck, kind: str) -> Finding:
    (finding,) = [finding for finding in check.findings if finding.kind == kind]
    return finding


def rows(count: int = 12) -> list[DataRow]:
    """Rows in which nothing is wrong."""
    return [row(line, f"text number {line}", "ab"[line % 2]) for line in range(1, count + 1)]


def test_rows_in_which_nothing_is_wrong_have_no_findings() -> None:
    check = checked(rows(), [row(90, "another", "a"), row(91, "one more", "b")])
    assert check.findings == []
    assert check.labels == {"a": 6, "b": 6}
    assert check.columns == {"text": "text", "label": "label"}


def test_rows_that_training_would_refuse_are_errors_by_reason() -> None:
    check = checked([*rows(), row(20, " ", "a"), row(21, "", "a"), row(22, "fine", "")])
    errors = [finding for finding in check.findings if finding.severity == "error"]
    assert [(finding.rows, finding.examples) for finding in errors] == [
        (1, ("rows.csv:22",)),
        (2, ("rows.csv:20", "rows.csv:21")),
    ]
    assert "2 rows: for example the column 'text' is ' ', not a text (" in str(errors[1])
    assert len(check.errors) == 3
    assert sum(check.labels.values()) == 12  # the others are still checked


def test_errors_that_differ_in_names_and_numbers_are_one_finding() -> None:
    settings = LabelledConfig(base="", data=["rows.json"], output=Path("out"))
    train = [
        DataRow(
            {
                "id": f"q{line}",
                "question": "Who?",
                "context": "Ada was here.",
                "answers": [{"text": f"Bo{line}", "answer_start": line}],
            },
            Path("rows.json"),
            line,
        )
        for line in range(1, 301)
    ]
    (finding,) = check_rows(Questions(ToyTask(), settings), {"train": train}, []).findings
    assert (finding.kind, finding.rows) == ("row", 300)
    assert str(finding).startswith(
        "Error: 300 rows: for example the answer 'Bo1' is not at position 1 of the context "
        "(rows.json:1, rows.json:2, rows.json:3). answer_start counts"
    )


def test_very_many_rows_without_a_label_are_counted_as_far_as_they_were_looked_at() -> None:
    check = checked(
        [row(line, f"text {line}", "ab"[line % 2] if line % 4 else "") for line in range(1000)]
    )
    (finding,) = check.findings
    assert "at least 100 rows: the column 'label' is empty" in str(finding)


def test_an_evaluation_row_with_a_training_text_is_a_leak() -> None:
    held = [row(50, "text number 3", "b"), row(51, "Text  NUMBER 4!", "a"), row(52, "new", "a")]
    check = checked(rows(), [*held, row(53, "newer", "b")])
    assert (found(check, "leak").rows, found(check, "leak").examples) == (1, ("rows.csv:50",))
    near = found(check, "near_leak")
    assert (near.rows, near.examples) == (1, ("rows.csv:51",))


def test_one_text_with_two_labels_is_a_contradiction_and_with_one_a_duplicate() -> None:
    check = checked([*rows(), row(30, "text number 1", "a"), row(31, "text number 2", "a")])
    assert found(check, "contradiction").examples == ("rows.csv:1", "rows.csv:30")
    assert found(check, "duplicate").examples == ("rows.csv:31",)


def test_labels_that_differ_only_in_spelling_are_named() -> None:
    labels = ["not spam"] * 6 + ["Not-Spam"] * 5 + ["spam"] * 6
    check = checked([row(line, f"text {line}", label) for line, label in enumerate(labels)])
    message = found(check, "label_spelling").message
    assert "'Not-Spam' (5)" in message
    assert "'not spam' (6)" in message


def test_labels_of_other_unicode_forms_or_like_missing_values_are_named() -> None:
    labels = ["caf\u00e9", "cafe\u0301", "nan"] * 6
    check = checked([row(line, f"text {line}", label) for line, label in enumerate(labels)])
    assert "'caf\u00e9' (6)" in found(check, "label_spelling").message
    assert found(check, "empty_label").message == "Labels look like missing values: 'nan' (6)"


@pytest.mark.parametrize("label", ["[a, 'b']", "{a}", "['a', nan]"])
def test_labels_that_look_like_lists_are_named(label: str) -> None:
    check = checked([*rows(), row(13, "one more", label)])
    assert found(check, "label_list").message.endswith(f"cannot be read: {label!r}")


def test_numbers_with_and_without_a_fraction_are_one_label() -> None:
    check = checked([row(line, f"text {line}", ["1", "1.0", "2"][line % 3]) for line in range(9)])
    assert "'1' (3), '1.0' (3)" in found(check, "label_spelling").message


def test_texts_that_look_like_missing_values_are_named() -> None:
    check = checked([*rows(), row(13, "NaN"), row(14, " none "), row(15, "None of them.")])
    assert found(check, "empty_text").examples == ("rows.csv:13", "rows.csv:14")


def test_labels_that_differ_in_their_signs_are_different() -> None:
    labels = ["C", "C++", "C#", "A-", "A", "A+"] * 5
    check = checked([row(line, f"text {line}", label) for line, label in enumerate(labels)])
    assert [finding.kind for finding in check.findings] == []


def test_rows_that_all_lack_a_column_are_one_error() -> None:
    lacking = [DataRow({"message": "Hello"}, Path("rows.csv"), line) for line in range(1, 31)]
    check = checked(lacking)
    assert [finding.kind for finding in check.findings] == ["row"]
    assert str(check.findings[0]) == (
        "Error: 30 rows: the column 'label' is missing (rows.csv:1, rows.csv:2, rows.csv:3). "
        "The row has 'message'; name yours by --label-column."
    )


def test_too_few_rows_are_the_last_error_as_another_one_may_be_the_reason() -> None:
    shortage = DataError("The rows have fewer than 4 different texts (rows: 2).")
    lacking = DataRow({"text": "Hello"}, Path("rows.csv"), 9)
    check = checked([row(1, "a", "x"), lacking], shortage=shortage)
    assert [finding.kind for finding in check.findings if finding.severity == "error"] == [
        "row",
        "data",
        "data",
    ]
    assert check.errors[-1] is shortage
    empty = checked([], shortage=shortage)
    assert [finding.message for finding in empty.findings] == [shortage.message]


def test_data_with_one_label_is_one_error_that_names_no_row() -> None:
    check = checked([row(line, f"text {line}", "a") for line in range(8)])
    (finding,) = check.findings
    assert (finding.severity, finding.kind, finding.examples) == ("error", "data", ())
    assert "The training data has only the label 'a'. A classifier needs" in str(finding)


@pytest.mark.parametrize(
    ("counts", "severity"), [((90, 10), "warning"), ((75, 25), None), ((70, 28, 2), "note")]
)
def test_imbalance_is_a_warning_where_one_label_is_nearly_all(
    counts: tuple[int, ...], severity: str | None
) -> None:
    labels = [label for label, count in zip("abc", counts, strict=False) for _ in range(count)]
    check = checked([row(line, f"text {line}", label) for line, label in enumerate(labels)])
    assert [f.severity for f in check.findings if f.kind == "imbalance"] == [severity] * bool(
        severity
    )


def test_rare_labels_and_labels_that_are_never_evaluated_are_named() -> None:
    check = checked([*rows(), row(40, "a rare one", "c")], [row(50, "new", "a"), row(51, "n", "b")])
    assert found(check, "rare_label").examples == ("c",)
    assert found(check, "missing_label").examples == ("c",)


def test_utf8_that_was_read_as_cp1252_is_noticed() -> None:
    wrong = "café".encode().decode("cp1252")
    assert found(checked([*rows(), row(60, wrong, "a")]), "encoding").examples == ("rows.csv:60",)


def test_texts_in_a_language_that_the_base_does_not_know_are_noticed(tmp_path: Path) -> None:
    text = "Это предложение написано на русском языке и модель его не знает."
    settings = SequenceClassificationConfig(base="", data=["rows.csv"], output=Path("out"))
    train = [*rows(), row(70, text, "a")]
    contents = LabelledTexts(ToyTask(), settings)
    check = check_rows(contents, {"train": train}, [], languages=["en"])
    assert found(check, "language").examples == ("rows.csv:70",)
    assert check_rows(contents, {"train": train}, []).findings == []
    (tmp_path / "README.md").write_text("---\nlanguage: en\n---\n# A base\n")
    assert languages_of(str(tmp_path)) == ["en"]
    assert languages_of("no/such-base") == []
    (tmp_path / "README.md").write_text('---\nlanguage: [en\nlicense: "x\n---\n# Broken\n')
    assert languages_of(str(tmp_path)) == []
    assert license_of(str(tmp_path)) == ""


@pytest.mark.parametrize("name", FAMILIES)
def test_the_contents_of_each_family_read_its_rows_and_agree_with_its_recipe(name: str) -> None:
    pytest.importorskip("torch")
    family = load(f"nlplug.families.{name}.task:FAMILY")
    settings = load(family.settings)(base="", data=["d"], output=Path("o"))
    data = [DataRow(values, Path("d"), line) for line, values in enumerate(FAMILIES[name], 1)]
    task: Task = ToyTask()
    contents: Contents = load(family.contents)(task, settings)
    recipe = load(family.training)(task, settings)
    contents.fit(data)
    recipe.fit(data)
    assert len(recipe.examples(data)) == len(data)
    for one in data:
        assert contents.key(one) == recipe.key(one)
        assert contents.content(one).text


def test_lengths_are_in_tokens_where_the_base_has_a_tokenizer(tmp_path: Path) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.enable_truncation(4)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    texts = ["a b", "a b c d e f g h i j"]
    tokens = measure(texts, str(tmp_path), 8)
    characters = measure(texts, "no/such-base", 4)
    assert tokens is not None
    assert characters is not None
    assert (tokens.unit, tokens.longest, tokens.mean, tokens.longer) == ("tokens", 10, 6.0, 0.5)
    assert (characters.unit, characters.window, characters.longer) == ("characters", 16, 0.5)


def test_the_estimate_grows_with_the_rows_and_says_how_it_was_made(tmp_path: Path) -> None:
    from nlplug.data.check import Lengths

    config = {"hidden_size": 768, "num_hidden_layers": 12, "intermediate_size": 3072}
    (tmp_path / "config.json").write_text(json.dumps(config))
    lengths = Lengths("tokens", 200, 100.0, 256, 0.0)
    short = estimate(10, 1, lengths, str(tmp_path))
    long = estimate(10_000_000, 3, lengths, str(tmp_path))
    assert "less than a minute" in short
    assert " h on this CPU" in long
    assert "84.9 million weights" in long  # BERT base without its embeddings
    assert estimate(10, 1, lengths, "no/such-base") == ""
    tiny = {"hidden_size": 16, "num_hidden_layers": 1, "intermediate_size": 32}
    (tmp_path / "config.json").write_text(json.dumps(tiny))
    assert ", 2,048 weights and" in estimate(10, 1, lengths, str(tmp_path))


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["data", "check", "sentiment", *words])


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    train, held = tmp_path / "train.csv", tmp_path / "eval.csv"
    lines = [f"film number {n};{'positive' if n % 2 else 'negative'}" for n in range(20)]
    train.write_text("\n".join(["text;label", *lines]))
    held.write_text("text;label\nfilm number 3;positive\nnew one;negative\nnewest;positive\n")
    return str(train), str(held)


def test_how_several_labels_are_read_is_told() -> None:
    check = checked([row(1, "a", "x|y"), row(2, "b", "x"), row(3, "c", "y|z")])
    assert check.labelling == "several labels per row, separated by '|'"
    assert "\nThe labels are several labels per row, separated by '|'.\n" in str(check)
    assert checked(rows()).labelling == ""


def test_a_second_text_that_training_would_leave_out_is_an_error() -> None:
    paired = rows()
    for one in paired:
        one.values["text_pair"] = ""
    assert not checked(paired).findings
    paired[3].values["text_pair"] = "and another text"
    (finding,) = [each for each in checked(paired).findings if each.severity == "error"]
    assert "'text_pair'" in finding.message
    assert finding.examples == (paired[3].where,)
    assert finding.hint and finding.hint.startswith("Join both texts")


def cut(texts: dict[str, list[tuple[int, int]]]) -> list[Finding]:
    """What is found about the offsets of spans."""
    settings = LabelledConfig(base="", data=["rows.jsonl"], output=Path("out"))
    train = [
        DataRow(
            {
                "text": text,
                "spans": [{"start": start, "end": end, "label": "X"} for start, end in spans],
            },
            Path("rows.jsonl"),
            line,
        )
        for line, (text, spans) in enumerate(texts.items(), 1)
    ]
    check = check_rows(AnnotatedTexts(ToyTask(), settings), {"train": train}, [])
    return [finding for finding in check.findings if finding.kind == "cut_word"]


def test_offsets_that_fall_into_words_are_told() -> None:
    right = {"Ann met Älva in 2026.": [(0, 3), (8, 12), (16, 20)], "Ann-Eve's 5G": [(0, 3), (4, 7)]}
    assert cut(right) == []
    assert (
        cut({"李雷在北京大学": [(0, 2), (3, 5)], "서울에서": [(0, 2)], "بالقاهرة": [(3, 8)]}) == []
    )
    inclusive = {text: [(start, end - 1) for start, end in spans] for text, spans in right.items()}
    (finding,) = cut(inclusive)
    assert (finding.severity, finding.rows) == ("warning", 2)
    assert str(finding) == (
        "Warning: 5 of 5 spans begin or end inside a word (rows.jsonl:1, rows.jsonl:2). "
        "Offsets count characters (not bytes) from 0, and the end is exclusive."
    )
    in_bytes = {"Älva met Ann.": [(0, 5), (10, 13)]}
    assert "1 of 2 spans" in str(cut(in_bytes))
    rare = {
        f"{number} Ann": [(len(str(number)) + 1, len(str(number)) + 4)] for number in range(200)
    }
    assert [finding.severity for finding in cut(rare | {"Anna": [(0, 3)]})] == ["note"]


def test_the_command_exits_by_severity(files: tuple[str, str], tmp_path: Path) -> None:
    train, held = files
    assert run(train, "--eval", held).exit_code == 0
    assert "1 warning" in run(train, "--eval", held).stdout
    assert run(train, "--eval", held, "--strict").exit_code == 1
    bad = tmp_path / "bad.csv"
    bad.write_text("text;label\ngood;positive\n;negative\nbad;negative\n")
    done = run(str(bad), "--eval", held)
    assert done.exit_code == 1
    assert f"{bad}:3" in done.stdout
    done = run(str(tmp_path / "missing.csv"))
    assert done.exit_code == 2
    assert "no such file" in done.stderr


def test_rows_of_another_task_are_told_by_what_they_lack(files: tuple[str, str]) -> None:
    words = ["data", "check", "question-answering", files[0]]
    done = CliRunner().invoke(main, words)
    assert (done.exit_code, "20 rows: the column 'context' is missing" in done.stdout) == (1, True)


def test_few_rows_hide_nothing_else_that_is_wrong(tmp_path: Path) -> None:
    short = tmp_path / "short.csv"
    short.write_text("text,label\ngood,positive\nbad\nfair,positive\n")
    done = run(str(short))
    assert done.exit_code == 1
    assert [line for line in done.stdout.splitlines() if line.startswith("Error")] == [
        "Error: 1 row cannot be read: 1 field where the header has 2.",
        "Error: The rows have fewer than 4 different texts (rows: 2). Give more rows, or an "
        "evaluation file with --eval.",
    ]
    done = run(str(short), "--eval-share", "0.0001")
    assert "None of the 2 rows is left for evaluation" in done.stdout


@pytest.mark.parametrize(
    ("command", "example"),
    [
        ("data check", "data check TASK"),
        ("train", "train TASK --data"),
        ("run", "run TASK --input"),
        ("inside", None),
    ],
)
def test_a_file_in_the_place_of_a_task_is_told(
    command: str, example: str | None, files: tuple[str, str]
) -> None:
    done = CliRunner().invoke(main, [*command.split(), files[0]])
    assert done.exit_code == UnknownTask.exit_code
    assert ("is a file, not a task" in done.stderr) == (example is not None)
    assert example is None or f" {example} {files[0]}`" in done.stderr


def test_the_json_has_what_the_text_has(files: tuple[str, str]) -> None:
    values = json.loads(run(files[0], "--eval", files[1], "--json").stdout)
    assert values["rows"]["train"] == 20
    assert values["rows"]["eval"] + values["rows"]["test"] == 3
    assert [finding["kind"] for finding in values["findings"] if finding["rows"]] == ["leak"]


@pytest.mark.parametrize("command", ["data check", "train"])
def test_bad_rows_are_found_before_torch_is_imported(command: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("text,label\ngood,positive\n,negative\nbad,negative\n")
    words = [*command.split(), "sentiment", "--base", "b", "--eval", str(bad)]
    words += ["--data", str(bad), "--output", "o"] if command == "train" else [str(bad)]
    script = (
        "import sys\n"
        "from nlplug.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "except SystemExit as done:\n    code = done.code\n"
        "print(code, [n for n in ('torch', 'transformers', 'onnxruntime') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *words], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout.splitlines()[-1] == f"{2 if command == 'train' else 1} []", done.stderr
    assert f"{bad}:3" in done.stdout + done.stderr
