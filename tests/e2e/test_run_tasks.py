"""``nlplug run`` for tasks with several fields and for answers that are lists."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from nlplug import pipeline
from nlplug.cli.main import main
from nlplug.testing import tiny_question_answerer, tiny_token_classifier

PARIS = "It is in Paris."
YORK = "It is in New York."


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny_token_classifier(folder / "ner")
    tiny_question_answerer(folder / "qa")
    return folder


def run(models: Path, task: str, *arguments: str | Path, stdin: str = "") -> Result:
    model = ["--model", str(models / task)]
    return CliRunner().invoke(main, ["run", task, *map(str, arguments), *model], input=stdin)


def answers(done: Result) -> list[Any]:
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    "arguments",
    [
        ("--question", "Where?", "--context", PARIS),
        ("Where?", "--context", PARIS),
        (PARIS, "--question", "Where?"),
    ],
)
def test_a_question_and_its_context_are_given_as_texts_or_options(
    models: Path, arguments: tuple[str, ...]
) -> None:
    assert [one["answer"] for one in answers(run(models, "qa", *arguments))] == ["Paris"]


def test_several_questions_are_asked_of_one_page_read_from_a_file(
    models: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.txt"
    page.write_text(f"{PARIS}\n\nAnd no more.\n", encoding="utf-8")
    found = answers(run(models, "qa", "Where?", "What place?", "--context", f"@{page}"))
    assert [PARIS[one["start"] : one["end"]] for one in found] == ["Paris", "Paris"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("contexts.txt", f"{PARIS}\n{YORK}\n"),
        ("contexts.csv", f"id,context\n1,{PARIS}\n2,{YORK}\n"),
        ("pairs.csv", f"question,context\nWho?,{PARIS}\nWhat?,{YORK}\n"),
    ],
)
def test_one_question_is_asked_of_a_file_of_contexts(
    models: Path, tmp_path: Path, name: str, content: str
) -> None:
    source, target = tmp_path / name, tmp_path / "out.csv"
    source.write_text(content, encoding="utf-8")
    done = run(models, "qa", "--question", "Where?", "--input", source, "--output", target)
    assert done.exit_code == 0, done.output
    rows = table(target)
    asked = "given_question" if name == "pairs.csv" else "question"
    assert [row[asked] for row in rows] == ["Where?"] * 2
    if name == "pairs.csv":
        assert [row["question"] for row in rows] == ["Who?", "What?"]
    assert [row["answer"] for row in rows] == ["Paris", "New York"]
    assert rows[1]["context"][int(rows[1]["start"]) : int(rows[1]["end"])] == "New York"


def test_a_file_of_questions_with_their_contexts_is_answered(models: Path, tmp_path: Path) -> None:
    source = tmp_path / "pairs.jsonl"
    rows = [{"question": "Where?", "context": text} for text in (PARIS, YORK)]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found = answers(run(models, "qa", "--input", source))
    assert [one["answer"] for one in found] == ["Paris", "New York"]


def test_lines_of_standard_input_are_contexts_where_the_question_is_given(models: Path) -> None:
    found = answers(run(models, "qa", "--question", "Where?", stdin=f"{PARIS}\n{YORK}\n"))
    assert [one["answer"] for one in found] == ["Paris", "New York"]


@pytest.mark.parametrize(
    ("task", "arguments", "field"),
    [
        ("qa", ("--question", "Who?"), "context"),
        ("ner", (), "text"),
        ("ner", ("--input", "-"), "text"),
    ],
)
def test_nothing_on_standard_input_is_said_in_two_lines(
    models: Path, task: str, arguments: tuple[str, ...], field: str
) -> None:
    done = run(models, task, *arguments, stdin="\n")
    assert (done.exit_code, done.stdout) == (2, "")
    error, hint = done.stderr.splitlines()
    assert error == f"Error: Nothing to answer: no {field} is given, and standard input has none."
    assert hint.startswith(f'Hint: nlplug run {task} "…"')


def test_entities_of_one_text_are_one_line_of_json(models: Path) -> None:
    (found,) = answers(run(models, "ner", "Anna Smith left Rome."))
    assert [one["word"] for one in found] == ["Anna Smith", "Rome"]


def test_entities_are_rows_of_a_table_and_no_input_is_lost(models: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "texts.txt", tmp_path / "entities.csv"
    source.write_text("nobody\nAnna Smith left Rome.\nParis\n", encoding="utf-8")
    assert run(models, "ner", "--input", source, "--output", target).exit_code == 0
    assert [(row["text"], row["word"]) for row in table(target)] == [
        ("nobody", ""),
        ("Anna Smith left Rome.", "Anna Smith"),
        ("Anna Smith left Rome.", "Rome"),
        ("Paris", "Paris"),
    ]


def test_entities_stay_a_list_in_json_lines(models: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "texts.txt", tmp_path / "entities.jsonl"
    source.write_text("nobody\nAnna left Rome.\n", encoding="utf-8")
    assert run(models, "ner", "--input", source, "--output", target).exit_code == 0
    rows = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
    assert [len(row["result"]) for row in rows] == [0, 2]


@pytest.mark.parametrize(
    ("task", "arguments", "words"),
    [
        ("qa", ("Where?",), "needs a context in addition to the question"),
        (
            "qa",
            ("Where?", "--question", "Where?", "--context", PARIS),
            "Both a text and --question",
        ),
        ("qa", ("Where?", "--context", "@/none/such.txt"), "/none/such.txt cannot be read"),
        ("qa", ("Where?", "--context", " "), "context"),
        ("qa", ("", "--context", PARIS), "question"),
        ("qa", ("Where?", "--context", PARIS, "--top-k", "0"), "top_k is 0"),
        ("ner", ("Anna", "--stride", "-1"), "stride is -1"),
        ("ner", ("Anna", "--text", "Anna"), "Both a text and --text"),
    ],
)
def test_what_is_missing_or_wrong_is_said_in_two_lines(
    models: Path, task: str, arguments: tuple[str, ...], words: str
) -> None:
    done = run(models, task, *arguments)
    assert done.exit_code == 2, done.output
    error, hint = done.stderr.splitlines()
    assert error.startswith("Error: ")
    assert words in error
    assert hint.startswith("Hint: ")


def test_python_too_asks_one_question_of_a_list_or_a_file(models: Path, tmp_path: Path) -> None:
    source = tmp_path / "contexts.txt"
    source.write_text(f"{PARIS}\n{YORK}\n", encoding="utf-8")
    with pipeline("qa", models / "qa", threads=1) as ask:
        for inputs in ([PARIS, YORK], source):
            found = [one["answer"] for one in ask(inputs, question="Where?")]
            assert found == ["Paris", "New York"]
