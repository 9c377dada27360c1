"""``nlplug run`` as a person at a shell uses it."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from nlplug.cli.main import main
from nlplug.models.bundle import Bundle
from nlplug.testing import tiny_text_classifier


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_text_classifier(tmp_path_factory.mktemp("tiny"))


def run(*arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nlplug", "run", "sentiment", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        env=os.environ | environment,
        check=False,
    )


def test_texts_give_one_line_of_json_each(bundle: Bundle) -> None:
    done = run("--model", str(bundle.path), "good", "bad")
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["label"] for line in done.stdout.splitlines()] == [
        "positive",
        "negative",
    ]


def test_standard_input_is_answered_line_by_line(bundle: Bundle) -> None:
    done = run("--model", str(bundle.path), "--top-k", "none", stdin="good\nbad\n")
    assert [json.loads(line)[0]["label"] for line in done.stdout.splitlines()] == [
        "positive",
        "negative",
    ]


@pytest.mark.parametrize("stdin", ["", "\n\n", " \t \r\n\n"])
def test_standard_input_without_a_text_is_an_error(bundle: Bundle, stdin: str) -> None:
    done = run("--model", str(bundle.path), stdin=stdin)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "Error: Nothing to answer: no text is given, and standard input has none.",
        'Hint: nlplug run sentiment "…", or pipe lines into it.',
    ]


def test_standard_streams_may_be_closed_or_lack_characters(tmp_path: Path) -> None:
    labels = ("差评", "好评 😀")
    model = str(tiny_text_classifier(tmp_path, labels=labels).path)
    command = f"{sys.executable} -m nlplug run sentiment --model {model} "
    done = run("--model", model, "good", PYTHONIOENCODING="ascii")
    assert json.loads(done.stdout)["label"] == labels[1]
    assert "\\u597d\\u8bc4" in done.stdout
    for words, code, lines, shown in (
        ("<&-", 2, 0, "Error: Nothing to answer"),
        ("good >&- 2>&- <&-", 0, 0, ""),
        ("--input <(printf 'good\\nbad\\n')", 0, 2, ""),
    ):
        closed = subprocess.run(
            ["bash", "-c", command + words], capture_output=True, text=True, check=False
        )
        assert (closed.returncode, closed.stdout.count("\n")) == (code, lines), closed.stderr
        assert shown in closed.stderr


def test_a_guessed_encoding_of_standard_input_is_told(bundle: Bundle) -> None:
    words = [sys.executable, "-m", "nlplug", "run", "sentiment", "--model", str(bundle.path)]
    for content, told in ((b"good caf\xe9\n", "encoding cp1252"), ("good café\n".encode(), "")):
        done = subprocess.run(words, input=content, capture_output=True, check=True)
        assert json.loads(done.stdout)["label"] == "positive"
        assert told in done.stderr.decode()
        assert bool(told) == ("standard input: 1 row" in done.stderr.decode())


def test_a_text_that_begins_with_a_hyphen_follows_two_of_them(bundle: Bundle) -> None:
    done = run("--model", str(bundle.path), "-5 degrees")
    assert done.returncode == 2
    assert done.stderr.endswith("Write -- before texts that begin with a hyphen.\n")
    assert run("--model", str(bundle.path), "--", "-5 degrees is good").returncode == 0
    assert "Did you mean '--model'?" in run("--modle", "x", "good").stderr


def test_blank_lines_between_texts_are_passed_over(bundle: Bundle) -> None:
    done = run("--model", str(bundle.path), stdin="good\n\n  \nbad\n")
    assert [json.loads(line)["label"] for line in done.stdout.splitlines()] == [
        "positive",
        "negative",
    ]


@pytest.mark.parametrize(("name", "content"), [("in.txt", "\n"), ("in.csv", "text\n")])
def test_a_file_without_a_text_is_an_error_and_writes_nothing(
    bundle: Bundle, tmp_path: Path, name: str, content: str
) -> None:
    source, target = tmp_path / name, tmp_path / "out.jsonl"
    source.write_text(content)
    target.write_text("earlier\n")
    done = run("--model", str(bundle.path), "--input", str(source), "--output", str(target))
    assert done.returncode == 2
    assert f"there is no text in {source}" in done.stderr
    assert target.read_text() == "earlier\n"


def test_a_file_is_written_with_its_columns_and_answers(bundle: Bundle, tmp_path: Path) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.jsonl.gz"
    source.write_text("text\ngood\nbad\n")
    done = run("--model", str(bundle.path), "--input", str(source), "--output", str(target))
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in gzip.decompress(target.read_bytes()).splitlines()]
    assert [(row["text"], row["label"]) for row in rows] == [
        ("good", "positive"),
        ("bad", "negative"),
    ]


def test_a_failed_run_leaves_the_earlier_output_as_it_was(bundle: Bundle, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"text": "good"}\n{"text": \n')
    target.write_text("earlier\n")
    done = run("--model", str(bundle.path), "--input", str(source), "--output", str(target))
    assert done.returncode == 2
    assert "in.jsonl:2" in done.stderr
    assert target.read_text() == "earlier\n"
    kept = tmp_path / "out.partial.jsonl"
    assert {path.name for path in tmp_path.iterdir()} == {source.name, target.name, kept.name}
    assert [json.loads(line)["label"] for line in kept.read_text().splitlines()] == ["positive"]
    assert f"Rows answered before the error: 1, {kept}" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("good", "--top-k", "0"), 2, "top_k is 0"),
        (("good", "--model", "/none/such"), 5, "/none/such"),
        (("good", "--precision", "q4"), 2, "q4"),
        (("good", "--device", "tpu"), 2, "'tpu'"),
        (("good", "--threads", "0"), 2, "threads is 0"),
        (("good", "--input", "x.csv"), 2, "--input"),
        (("--input", "/none.csv"), 2, "/none.csv"),
    ],
)
def test_what_is_wrong_is_said_in_two_lines_with_an_exit_code(
    bundle: Bundle, arguments: tuple[str, ...], code: int, words: str
) -> None:
    model = () if "--model" in arguments else ("--model", str(bundle.path))
    done = CliRunner().invoke(main, ["run", "sentiment", *model, *arguments])
    assert done.exit_code == code, done.output
    error, hint = done.stderr.splitlines()
    assert error.startswith("Error: ")
    assert words in error
    assert hint.startswith("Hint: ")


def test_the_help_of_a_task_shows_the_options_that_it_declares() -> None:
    done = CliRunner().invoke(main, ["run", "sentiment", "--help"])
    assert "--top-k" in done.stdout
    assert "Number of labels to return" in done.stdout


def test_threads_come_from_the_environment(bundle: Bundle) -> None:
    done = run("--model", str(bundle.path), "good", NLPLUG_THREADS="none")
    assert done.returncode == 2
    assert "NLPLUG_THREADS" in done.stderr


@pytest.mark.parametrize(("texts", "place"), [(("",), 1), (("fine", " "), 2)])
def test_a_blank_text_is_named_by_its_number_once(
    bundle: Bundle, texts: tuple[str, ...], place: int
) -> None:
    done = CliRunner().invoke(main, ["run", "sentiment", "--model", str(bundle.path), *texts])

    assert done.exit_code == 2
    assert f"Error: argument:{place}: Wrong input of the task 'sentiment': text is" in done.stderr
