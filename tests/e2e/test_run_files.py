"""``nlplug run`` on files: what was understood, which columns, and what becomes of bad rows."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from nlplug.cli.main import main
from nlplug.models.bundle import Bundle
from nlplug.testing import tiny_text_classifier, tiny_text_generator


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_text_classifier(tmp_path_factory.mktemp("tiny"))


def run(bundle: Bundle, *arguments: str | Path, stdin: str | bytes = "") -> Result:
    command = ["run", "sentiment", "--model", str(bundle.path), *map(str, arguments)]
    return CliRunner().invoke(main, command, input=stdin)


def answers(done: Result) -> list[str]:
    assert done.exit_code == 0, done.output
    return [json.loads(line)["label"] for line in done.stdout.splitlines()]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_columns_of_the_input_are_all_kept_and_never_overwritten(
    bundle: Bundle, tmp_path: Path, suffix: str
) -> None:
    source, target = tmp_path / "in.csv", tmp_path / f"out{suffix}"
    source.write_text("id,text,label,score\n7,good,mine,0.1\n8,bad,yours,0.2\n")
    done = run(bundle, "--input", source, "--output", target)
    assert done.exit_code == 0, done.output
    rows: list[Any] = (
        table(target)
        if suffix == ".csv"
        else [json.loads(line) for line in target.read_text().splitlines()]
    )
    assert [(row["id"], row["label"], row["score"]) for row in rows] == [
        ("7", "mine", "0.1"),
        ("8", "yours", "0.2"),
    ]
    assert [row["predicted_label"] for row in rows] == ["positive", "negative"]
    assert all(float(row["predicted_score"]) > 0.5 for row in rows)


@pytest.mark.parametrize("output", ["rows.skipped.jsonl", "rows.jsonl", "link.jsonl"])
def test_the_output_does_not_replace_the_input(bundle: Bundle, tmp_path: Path, output: str) -> None:
    source = tmp_path / "rows.skipped.jsonl"
    source.write_text('{"text": "good"}\n{"text": ""}\n')
    before = source.read_bytes()
    (tmp_path / "link.jsonl").hardlink_to(source)
    target = tmp_path / output
    done = run(bundle, "--input", source, "--output", target, "--on-error", "skip")
    assert done.exit_code == 2
    assert f"Error: --output {target} would replace the input {source}." in done.stderr
    assert source.read_bytes() == before


def test_one_line_says_what_was_understood(bundle: Bundle, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_bytes("id;text\n1;good\n2;bad é\n".encode("latin-1"))
    done = run(bundle, "--input", source)
    assert answers(done) == ["positive", "negative"]
    assert done.stderr.splitlines() == [
        f"{source}: 2 rows, CSV with ';'; text from column 'text'; encoding cp1252."
    ]


@pytest.mark.parametrize(
    "stdin",
    [
        '{"text": "good"}\n{"text": "bad"}\n',
        '\n  {"text": "good", "id": 1}\n{"text": "bad"}',
        '\ufeff{"text": "good"}\n{"text": "bad"}\n'.encode(),
    ],
)
def test_json_lines_on_standard_input_are_noticed(bundle: Bundle, stdin: str | bytes) -> None:
    done = run(bundle, stdin=stdin)
    assert answers(done) == ["positive", "negative"]
    assert "JSON Lines" in done.stderr


@pytest.mark.parametrize(
    "stdin",
    [
        '[{"text": "good"}, {"text": "bad"}]\n',
        '[\n  {\n    "text": "good"\n  },\n  {\n    "text": "bad"\n  }\n]\n',
        '[{"text": "good"},\n {"text": "bad"}]',
    ],
)
def test_an_array_of_rows_on_standard_input_is_noticed(bundle: Bundle, stdin: str) -> None:
    assert answers(run(bundle, stdin=stdin)) == ["positive", "negative"]


def test_an_object_of_several_lines_is_not_taken_for_texts(bundle: Bundle) -> None:
    refused = run(bundle, stdin='{\n  "text": "good"\n}\n')
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "not an array of objects" in refused.stderr


def test_a_column_of_a_later_row_is_not_lost_in_silence(bundle: Bundle, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.csv"
    source.write_text('{"text": "good"}\n{"text": "bad", "note": "x"}\n')
    done = run(bundle, "--input", source, "--output", target)
    assert "Warning: The table lacks the column 'note' of a later row" in done.stderr
    assert len(target.read_text().splitlines()) == 3


def test_an_object_without_the_field_is_refused_unless_it_is_called_text(bundle: Bundle) -> None:
    refused = run(bundle, stdin='{"note": "good"}\n')
    assert refused.exit_code == 2
    assert "no 'text' among the columns note" in refused.stderr
    assert len(answers(run(bundle, "--format", "txt", stdin='{"note": "good"}\n'))) == 1


def test_standard_input_is_a_table_where_the_format_says_so(bundle: Bundle) -> None:
    done = run(bundle, "--format", "csv", stdin="id;text\n1;good\n2;bad\n")
    assert answers(done) == ["positive", "negative"]


def test_reading_can_be_told(bundle: Bundle, tmp_path: Path) -> None:
    source = tmp_path / "in.dat"
    source.write_bytes("review#n\ngood плохо#1\nbad хорошо#2\n".encode("cp1251"))
    options = ["--format", "csv", "--delimiter", "#", "--encoding", "cp1251"]
    done = run(bundle, "--input", source, "--text-column", "review", *options)
    assert answers(done) == ["positive", "negative"]
    assert "text from column 'review'" in done.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "no 'text' among the columns foo, n"),
        (("--text-column", "bar"), "no 'bar' among the columns foo, n"),
    ],
)
def test_no_column_is_guessed(
    bundle: Bundle, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    source = tmp_path / "in.csv"
    source.write_text("foo,n\ngood,1\n")
    done = run(bundle, "--input", source, *options)
    assert done.exit_code == 2
    assert words in done.stderr
    assert "--text-column" in done.stderr


FAULTY = '{"text": "good"}\n{"text": "bad"}\n{"text": " "}\nbroken\n{"text": 3}\n{"text": "good"}\n'


def test_bad_rows_are_skipped_counted_and_written(bundle: Bundle, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.csv.gz"
    source.write_text(FAULTY)
    done = run(bundle, "--input", source, "--output", target, "--on-error", "skip")
    assert done.exit_code == 0, done.output
    rows = gzip.decompress(target.read_bytes()).decode().splitlines()[1:]
    assert [row.split(",")[:2] for row in rows] == [
        ["good", "positive"],
        ["bad", "negative"],
        ["good", "positive"],
    ]
    skipped = tmp_path / "out.skipped.jsonl"
    found = [json.loads(line) for line in skipped.read_text().splitlines()]
    assert [row["line"] for row in found] == [3, 4, 5]
    assert found[2]["row"] == {"text": 3}
    assert "text is ' '" in found[0]["reason"]
    assert "3 rows, JSON Lines" in done.stderr
    assert "3 skipped: " in done.stderr
    assert f"Skipped rows (3) are in {skipped}." in done.stderr


def test_without_an_output_skipped_rows_are_named(bundle: Bundle, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text(FAULTY)
    done = run(bundle, "--input", source, "--on-error", "skip")
    assert answers(done) == ["positive", "negative", "positive"]
    assert f"Skipped {source}:4: not JSON" in done.stderr


def test_stopping_names_the_row_and_keeps_what_was_done(bundle: Bundle, tmp_path: Path) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("text\n" + "good\n" * 200 + '" "\n' + "bad\n" * 200)
    done = run(bundle, "--input", source, "--output", target)
    assert done.exit_code == 2
    assert f"Error: {source}:202: " in done.stderr
    assert not target.exists()
    kept = tmp_path / "out.partial.csv"
    assert len(table(kept)) == 200
    assert f"Rows answered before the error: 200, {kept}" in done.stderr


def test_answers_before_a_bad_row_are_printed(bundle: Bundle, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("text\ngood\nbad\n\n" + '" "\n')
    done = run(bundle, "--input", source)
    assert done.exit_code == 2
    assert [json.loads(line)["label"] for line in done.stdout.splitlines()] == [
        "positive",
        "negative",
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "text,n\ngood,1\n,2\n"),
        ("a.csv", 'text,n\ngood,1\n"  ",2\n'),
        ("a.jsonl", '{"text": "good"}\n{"text": ""}\n'),
        ("a.tsv", "text\tn\ngood\t1\n\t2\n"),
    ],
)
def test_a_blank_text_is_an_error_that_names_its_row(
    bundle: Bundle, tmp_path: Path, name: str, content: str
) -> None:
    (tmp_path / name).write_text(content)
    done = run(bundle, "--input", tmp_path / name)
    assert done.exit_code == 2
    line = 2 if name.endswith("l") else 3
    assert f"Error: {tmp_path / name}:{line}: Wrong input of the task 'sentiment': text is" in (
        done.stderr
    )


def test_evaluate_reads_with_the_same_options_and_says_what_it_understood(
    bundle: Bundle, tmp_path: Path
) -> None:
    data = tmp_path / "dev.csv"
    data.write_bytes("text;label\ngood é;positive\nbad;1\nbad;positive|negative\n".encode("cp1252"))
    command = ["evaluate", str(bundle.path), "--task", "sentiment", "--data", str(data)]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert done.stderr.splitlines()[-1].startswith(f"{data}: 3 rows, CSV with ';'; ")
    given = ["--data-format", "csv", "--delimiter", ",", "--encoding", "utf-16"]
    wrong = CliRunner().invoke(main, [*command, *given])
    assert wrong.exit_code == 2
    assert f"{data}" in wrong.stderr


def test_evaluate_names_the_row_of_a_blank_text(bundle: Bundle, tmp_path: Path) -> None:
    data = tmp_path / "dev.csv"
    data.write_text('text,label\ngood,positive\n" ",negative\n')
    command = ["evaluate", str(bundle.path), "--task", "sentiment", "--data", str(data)]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 2
    assert f"{data}:3: the column 'text' is ' ', not a text" in done.stderr


def test_a_column_of_messages_is_a_chat(tmp_path: Path) -> None:
    template = "{% for message in messages %}{{ message.content }} {% endfor %}"
    model = tiny_text_generator(tmp_path / "chat", chat_template=template)
    chat = [{"role": "user", "content": "once upon"}]
    lines, table = tmp_path / "chats.jsonl", tmp_path / "chats.csv"
    lines.write_text(json.dumps({"id": 7, "messages": chat}) + "\n")
    cell = json.dumps(chat).replace('"', '""')
    table.write_text(f'id,messages\n7,"{cell}"\n')
    command = ["run", "generation", "--model", str(model.path), "--max-new-tokens", "2"]

    for file in (lines, table):
        done = CliRunner().invoke(main, [*command, "--no-do-sample", "--input", str(file)])
        assert done.exit_code == 0, done.output
        [answer] = json.loads(done.stdout)
        assert answer["generated_text"] == [*chat, {"role": "assistant", "content": " a time"}]
