"""The embedded model and texts in languages that it does not know, in Python, shell and HTTP."""

from __future__ import annotations

import asyncio
import gzip
import json
import linecache
import random
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient

from nlplug import Pipeline, pipeline
from nlplug.cli.main import main
from nlplug.errors import ForeignTextError, ForeignTextWarning, MissingExtra, OptionError
from nlplug.server import create_app
from nlplug.text.language import foreign_language

ENGLISH = "The plot holds, and the actors are very good."
FRENCH = "Je n'ai pas aimé ce film du tout, il est trop long."
CHINESE = "这部电影很好看"


@pytest.fixture(scope="module")
def ask() -> Iterator[Pipeline]:
    with pipeline("sentiment") as made:
        yield made


def test_one_warning_per_call_counts_and_names_the_languages(ask: Pipeline) -> None:
    with pytest.warns(ForeignTextWarning) as caught:
        answers = ask([ENGLISH, FRENCH, CHINESE, FRENCH])
    assert len(answers) == 4
    (warning,) = caught
    assert str(warning.message).startswith(
        "3 of 4 texts look like French, Chinese; the model knows English."
    )
    assert linecache.getline(warning.filename, warning.lineno).strip().startswith("answers = ask(")


def test_an_evaluation_counts_them_in_its_report(tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    rows = [(ENGLISH, "positive"), (FRENCH, "negative"), (CHINESE, "positive")]
    lines = [json.dumps({"text": text, "label": label}) + "\n" for text, label in rows]
    data.write_text("".join(lines), "utf-8")
    given = ["evaluate", "--task", "sentiment", "--data", str(data)]
    done = CliRunner().invoke(main, given)
    assert "2 of 3 texts look like French, Chinese; the model knows English.\n" in done.stdout
    numbers = json.loads(CliRunner().invoke(main, [*given, "--format", "json"]).stdout)
    assert numbers["noticed"]["foreign"] == {
        "known": ["en"],
        "total": 3,
        "found": {"fr": 1, "zh": 1},
    }


def test_streams_warn_at_their_end_and_single_texts_without_a_count(ask: Pipeline) -> None:
    with pytest.warns(ForeignTextWarning, match="^1 of 2 texts look like French"):
        assert len(list(ask.map([ENGLISH, FRENCH]))) == 2
    with pytest.warns(ForeignTextWarning, match="^The text looks like Chinese"):
        ask(CHINESE)


def test_awaited_calls_warn_too(ask: Pipeline) -> None:
    with pytest.warns(ForeignTextWarning, match="French"):
        asyncio.run(ask.acall(FRENCH))


def test_english_texts_and_ignored_ones_give_no_warning(ask: Pipeline) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ask([ENGLISH, "ok", "Ok 👍", "José", "http://exemple.fr/le/film"])
        ask([FRENCH, CHINESE], on_foreign="ignore")


def test_a_refused_text_is_named(ask: Pipeline) -> None:
    with pytest.raises(ForeignTextError, match="^Input 1: The text looks like French"):
        ask([ENGLISH, FRENCH], on_foreign="error")
    with pytest.raises(ForeignTextError, match="^The text looks like Chinese") as error:
        ask(CHINESE, on_foreign="error")
    assert "on_foreign" in str(error.value.hint)
    with pytest.raises(OptionError):
        ask(ENGLISH, on_foreign="refuse")


def test_texts_cannot_be_refused_without_the_package(
    ask: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "py3langid", None)
    with pytest.raises(MissingExtra, match="py3langid"):
        ask(ENGLISH, on_foreign="error")
    with pytest.warns(ForeignTextWarning, match="Chinese"):
        ask(CHINESE)


def test_the_command_line_warns_on_standard_error() -> None:
    done = CliRunner().invoke(main, ["run", "sentiment", ENGLISH, FRENCH])
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == 2
    assert done.stderr.startswith("Warning: 1 of 2 texts look like French; the model knows English")


def test_the_command_line_names_the_row_that_it_refuses(tmp_path: Path) -> None:
    file = tmp_path / "reviews.txt"
    file.write_text(f"{ENGLISH}\n{FRENCH}\n{ENGLISH}\n", encoding="utf-8")
    options = ["run", "sentiment", "--input", str(file), "--on-foreign", "error"]
    done = CliRunner().invoke(main, options)
    assert done.exit_code == 2
    assert f"Error: {file}:2: The text looks like French" in done.stderr
    assert len(done.stdout.splitlines()) == 1
    done = CliRunner().invoke(main, [*options, "--on-error", "skip"])
    assert (done.exit_code, len(done.stdout.splitlines())) == (0, 2)


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    app = create_app(models={"mood": "sentiment-en"}, task="sentiment", only=True)
    with TestClient(app, base_url="http://localhost") as made:
        yield made


def test_http_replies_keep_their_shape_and_carry_a_header(client: TestClient) -> None:
    reply = client.post("/models/mood", json={"inputs": [ENGLISH, FRENCH]})
    assert [len(answer) for answer in reply.json()] == [2, 2]
    (message,) = json.loads(reply.headers["x-nlplug-warnings"])
    assert message == "1 of 2 texts look like French; the model knows English."
    plain = client.post("/models/mood", json={"inputs": ENGLISH})
    assert "x-nlplug-warnings" not in plain.headers


def test_http_replies_have_a_field_with_warnings_on_request(client: TestClient) -> None:
    asked = {"inputs": FRENCH, "warnings": True}
    plain = client.post("/models/mood", json={"inputs": FRENCH}).json()
    assert client.post("/models/mood", json=asked).json() == {
        "results": plain,
        "warnings": ["The text looks like French; the model knows English."],
    }
    asked["parameters"] = {"on_foreign": "ignore"}
    assert client.post("/models/mood", json=asked).json()["warnings"] == []
    assert client.post("/models/mood", json={"inputs": "a", "warnings": 1}).status_code == 422


def test_http_refuses_with_an_error(client: TestClient) -> None:
    asked = {"inputs": [ENGLISH, FRENCH], "parameters": {"on_foreign": "error"}}
    reply = client.post("/models/mood", json=asked)
    assert reply.status_code == 422
    assert reply.json()["error"].startswith("Input 1: The text looks like French")
    assert reply.json()["error_type"] == "foreign_text"


@pytest.mark.parametrize(("code", "least"), [("fr", 0.99), ("de", 0.99), ("es", 0.99)])
def test_texts_of_twenty_words_are_told_apart(
    ask: Pipeline, data_folder: Path, code: str, least: float
) -> None:
    """The full figures are those of benchmarks/languages.py."""
    file = data_folder / "train" / "translation" / f"tatoeba_en_{code}.jsonl.gz"
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        pairs = [json.loads(line)["translation"] for line in lines]
    draw = random.Random(1)

    def texts(side: str, count: int) -> list[str]:
        words = (" ".join(draw.choice(pairs)[side] for _ in range(20)).split() for _ in range(400))
        return [" ".join(some[:count]) for some in words]

    assert ask.foreign(texts(code, 20)).count >= 400 * least
    for count in (3, 8, 20):
        assert ask.foreign(texts("en", count)).count <= 400 * 0.01
        own = [foreign_language(text, [code]) for text in texts(code, count)]
        assert len(own) - own.count(None) <= 400 * 0.01
