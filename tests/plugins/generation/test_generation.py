"""Text generation at the shell: whole answers in pipes and files, text as it comes elsewhere."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from nlplug import pipeline
from nlplug.cli.main import main
from nlplug.testing import tiny_text_generator


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_text_generator(tmp_path_factory.mktemp("tale"), max_length=100_000).path


def run(model: Path, *arguments: str, stdin: str = "") -> Result:
    given = ["run", "generation", *arguments, "--model", str(model)]
    return CliRunner().invoke(main, given, input=stdin)


def lines(done: Result) -> list[Any]:
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def on_terminal(model: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """The command with a terminal as its output; what it writes is read from ``stdout``."""
    import pty

    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "nlplug", "run", "generation", "--model", str(model)]
    process = subprocess.Popen(
        [*command, *arguments], stdin=subprocess.DEVNULL, stdout=follower, stderr=subprocess.PIPE
    )
    os.close(follower)
    process.stdout = os.fdopen(leader, "rb", buffering=0)
    return process


def read_all(terminal: Any) -> str:
    found = b""
    try:
        while piece := terminal.read(1024):
            found += piece
    except OSError:  # Linux says so where the other side is closed
        pass
    return found.decode().replace("\r\n", "\n")


def test_the_task_goes_by_the_name_of_the_hub_too(model: Path) -> None:
    tell = pipeline("text-generation", model=model)
    assert tell.definition.name == "generation"
    assert tell("the", do_sample=False) == [{"generated_text": "the end"}]


def test_in_a_pipe_answers_come_whole(model: Path) -> None:
    done = run(model, "--no-do-sample", "--max-new-tokens", "2", stdin="the\nonce\n")
    assert lines(done) == [[{"generated_text": "the end"}], [{"generated_text": "once upon a"}]]


def test_text_can_be_asked_for_as_it_comes(model: Path) -> None:
    done = run(model, "the", "once", "--no-do-sample", "--max-new-tokens", "2", "--stream")
    assert (done.exit_code, done.stdout) == (0, " end\n upon a\n")


def test_a_file_has_whole_answers(model: Path, tmp_path: Path) -> None:
    output = tmp_path / "answers.jsonl"
    done = run(model, "the", "--no-do-sample", "--output", str(output))
    assert done.exit_code == 0, done.output
    assert json.loads(output.read_text()) == {
        "text": "the",
        "result": [{"generated_text": "the end"}],
    }


def test_a_prompt_that_is_too_long_stops_at_its_row_or_is_skipped(
    tmp_path: Path,
) -> None:
    model = tiny_text_generator(tmp_path / "small", max_length=64).path
    source, output = tmp_path / "prompts.txt", tmp_path / "answers.jsonl"
    source.write_text("the\nonce\n" + "the " * 100 + "\nthe\n")
    command = ["--input", str(source), "--output", str(output), "--no-do-sample"]
    command += ["--max-new-tokens", "2"]
    stopped = run(model, *command)
    assert stopped.exit_code == 2
    assert f"Error: {source}:3: The prompt" in stopped.stderr
    kept = (tmp_path / "answers.partial.jsonl").read_text().splitlines()
    assert [json.loads(line)["text"] for line in kept] == ["the", "once"]
    skipping = run(model, *command, "--on-error", "skip")
    assert skipping.exit_code == 0, skipping.output
    texts = [json.loads(line)["text"] for line in output.read_text().splitlines()]
    assert texts == ["the", "once", "the"]
    [skipped] = (tmp_path / "answers.skipped.jsonl").read_text().splitlines()
    assert json.loads(skipped)["line"] == 3
    assert "1 skipped: The prompt" in skipping.stderr


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["", "--no-do-sample"], "The prompt is empty."),
        (["the", "--stream", "--output", "x.jsonl"], "Both --stream and --output were given."),
        (["the", "--stream", "--num-beams", "2"], "num_beams is 2"),
        (["the", "--max-new-tokens", "0"], "max_new_tokens is 0"),
    ],
)
def test_errors_are_two_lines(model: Path, arguments: list[str], error: str) -> None:
    done = run(model, *arguments)
    assert done.exit_code == 2
    assert error in done.stderr.splitlines()[0]
    assert done.stderr.splitlines()[1].startswith("Hint: ")
    assert done.stdout == ""


def test_a_task_whose_answers_come_whole_has_no_such_flag() -> None:
    done = CliRunner().invoke(main, ["run", "sentiment", "good", "--stream"])
    assert done.exit_code == 2
    assert "--stream" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
class TestOnATerminal:
    """What a person sees."""

    def test_text_comes_as_it_is_made(self, model: Path) -> None:
        with on_terminal(model, "the", "--no-do-sample") as process:
            assert read_all(process.stdout) == " end\n"
        assert process.returncode == 0

    def test_several_texts_come_whole(self, model: Path) -> None:
        with on_terminal(model, "the", "--num-beams", "2") as process:
            assert json.loads(read_all(process.stdout)) == [{"generated_text": "the end"}]
        assert process.returncode == 0

    def test_an_interruption_ends_the_line_and_no_more(self, model: Path) -> None:
        arguments = ["once", "--no-do-sample", "--max-new-tokens", "4096"]
        with on_terminal(model, *arguments) as process:
            assert process.stdout is not None and process.stderr is not None
            assert process.stdout.read(1) == b" "
            process.send_signal(signal.SIGINT)
            rest = read_all(process.stdout)
            errors = process.stderr.read()
        assert rest.startswith("upon")
        assert process.returncode == 130
        assert errors == b"\n"
