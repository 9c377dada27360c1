"""What a task of a plugin may answer, and the error of one that answers otherwise, everywhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient
from plugin_zoo import TONE, install

from nlplug import Pipeline, PluginHost, pipeline
from nlplug.cli.main import main
from nlplug.errors import PluginError
from nlplug.server import create_app
from nlplug.testing import tiny_text_classifier

ODD = (
    TONE
    + """
import numpy as np
from nlplug.families.sequence_classification import SequenceClassificationModel

ANSWERS = {
    "nan": [{"label": "x", "score": float("nan")}],
    "numbers": [[1.0, 2.0, float("inf")], [0.5]],
    "array": [{"vector": np.array([1.0, np.nan])}],
    "surrogate": [{"label": "x\\ud800", "score": 0.5}],
    "set": {1, 2},
    "name": [{1: "x"}],
    "deep": [],
}
for _ in range(2000):
    ANSWERS["deep"] = [ANSWERS["deep"]]


class OddModel(SequenceClassificationModel):
    def encode(self, inputs, options):
        if inputs[0].text == "no rows":
            return [[] for _ in inputs]
        return super().encode(inputs, options)

    def decode(self, item, rows, outputs, options):
        if item.text == "fails":
            return {}["key"]
        if item.text == "numpy":
            return [{"label": "x", "score": np.float32(0.5), "bits": np.array([1, 0])}]
        return ANSWERS[item.text]


ToneTask.bind = lambda self, bundle: OddModel(bundle)
"""
)
FAULTS = {
    "nan": "An answer of the task 'tone' has the number nan.",
    "numbers": "An answer of the task 'tone' has the number inf.",
    "array": "An answer of the task 'tone' has a number that is NaN or infinite.",
    "surrogate": "An answer of the task 'tone' has the lone surrogate '\\ud800' in a text.",
    "set": "An answer of the task 'tone' has a value of the type set.",
    "name": "An answer of the task 'tone' has the name 1 in a dict.",
    "deep": "An answer of the task 'tone' has lists or dicts that are nested too deeply.",
    "no rows": "odd_answers.OddModel.encode must return a list of at least one Row for each input; "
    "it returned [[]] for 1.",
}


@pytest.fixture
def odd(site: Path) -> Iterator[Pipeline]:
    install(site, "nlplug-tone", {"odd_answers": ODD}, plugins={"tone": "odd_answers"})
    tiny_text_classifier(site / "zoo_tone_model")
    with pipeline("tone", host=PluginHost.discover()) as pipe:
        yield pipe


@pytest.fixture
def post(odd: Pipeline) -> Iterator[Callable[[str], tuple[int, dict[str, str]]]]:
    app = create_app(PluginHost.discover(), models={"tone": odd}, only=True)
    with TestClient(app) as client:

        def post(text: str) -> tuple[int, dict[str, str]]:
            response = client.post("/models/tone", json={"inputs": text})
            return response.status_code, response.json()

        yield post


@pytest.mark.parametrize("text", FAULTS)
def test_an_answer_that_json_cannot_write_is_one_error_everywhere(
    odd: Pipeline, post: Callable[[str], tuple[int, dict[str, str]]], text: str
) -> None:
    with pytest.raises(PluginError) as caught:
        odd(text)
    assert caught.value.message == FAULTS[text]

    done = CliRunner().invoke(main, ["run", "tone", text])
    assert (done.exit_code, done.stdout) == (4, "")
    assert done.stderr.splitlines()[0] == f"Error: {FAULTS[text]}"

    status, body = post(text)
    assert (status, body["error"], body["error_type"]) == (500, FAULTS[text], "plugin")


def test_numbers_of_numpy_are_numbers(
    odd: Pipeline, post: Callable[[str], tuple[int, dict[str, str]]], tmp_path: Path
) -> None:
    table = tmp_path / "rows.csv"
    done = CliRunner().invoke(main, ["run", "tone", "numpy", "--output", str(table)])
    assert done.exit_code == 0, done.stderr
    assert table.read_text() == 'text,label,score,bits\nnumpy,x,0.5,"[1, 0]"\n'

    answer = {"label": "x", "score": 0.5, "bits": [1, 0]}
    assert json.loads(CliRunner().invoke(main, ["run", "tone", "numpy"]).stdout) == answer
    assert post("numpy") == (200, [[answer]])


def test_an_unexpected_error_of_a_plugin_names_the_plugin(
    odd: Pipeline, post: Callable[[str], tuple[int, dict[str, str]]]
) -> None:
    done = CliRunner().invoke(main, ["run", "tone", "fails"])
    assert done.exit_code == 1
    assert "This is a bug in nlplug-tone. Please report it" in done.stderr

    status, body = post("fails")
    assert (status, body["error"]) == (500, "The plugin nlplug-tone has a bug.")
