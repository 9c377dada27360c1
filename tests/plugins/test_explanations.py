"""``explain=True``: words of the user's own text with weights, for each task that can explain."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import TypeAdapter

from nlplug import Pipeline, pipeline
from nlplug.cli.main import main
from nlplug.errors import OptionError
from nlplug.explanations.result import Explanation, output_type

TEXT = "It looks great 🙂, but it doesn't work: far too slow."
ASKED = {
    "sentiment": {"text": TEXT},
    "classification": {"text": "Wake me up at half past six tomorrow."},
    "ner": {"text": "🙂 Angela Merkel met José in Berlin."},
    "qa": {
        "question": "Who met José?",
        "context": "🙂 Angela Merkel met José in Berlin. It rained.",
    },
}
SENTENCE = "It was a good day and the film was not bad. "


@pytest.fixture(scope="module", params=ASKED)
def asked(request: pytest.FixtureRequest) -> Any:
    with pipeline(request.param, threads=1) as pipe:
        yield pipe, ASKED[request.param]


@pytest.fixture(scope="module")
def sentiment() -> Any:
    with pipeline("sentiment", threads=1) as pipe:
        yield pipe


@pytest.fixture(scope="module")
def ner() -> Any:
    with pipeline("ner", threads=1) as pipe:
        yield pipe


@pytest.fixture(scope="module")
def qa() -> Any:
    with pipeline("qa", threads=1) as pipe:
        yield pipe


def weights(found: Explanation) -> dict[str, float]:
    return {one["word"]: one["weight"] for one in found["words"]}


@pytest.mark.parametrize("method", ["occlusion", "shapley"])
def test_words_are_parts_of_the_users_own_text(asked: Any, method: str) -> None:
    pipe, item = asked
    found = pipe(item, explain=True, explain_method=method)
    assert found["answer"] == pipe(item)
    explanation = found["explanation"]
    assert explanation["method"] == method
    assert 0 < explanation["passes"] <= 512
    for one in explanation["words"]:
        assert item[one["field"]][one["start"] : one["end"]] == one["word"]
        assert not one["word"].isspace()
    assert {one["field"] for one in explanation["words"]} == set(item)
    TypeAdapter(output_type(pipe.definition)).validate_python(
        next(pipe.answers([item], explain=True))
    )


def test_shapley_weights_add_up_to_the_value_minus_the_baseline(asked: Any) -> None:
    pipe, item = asked
    found = pipe(item, explain=True, explain_method="shapley")["explanation"]
    total = sum(one["weight"] for one in found["words"])
    assert total == pytest.approx(found["value"] - found["baseline"], abs=1e-4)
    assert found == pipe(item, explain=True, explain_method="shapley")["explanation"]


def test_occlusion_is_the_mean_of_leaving_a_word_out_and_of_the_word_alone(
    sentiment: Pipeline,
) -> None:
    def value(text: str) -> float:
        scores = {one["label"]: one["score"] for one in sentiment(text, top_k=2, **raw)}
        return scores["negative"] - scores["positive"]

    raw = {"function_to_apply": "none", "on_foreign": "ignore"}
    found = sentiment("not very good", explain=True, explain_label="negative")["explanation"]
    every, none = value("not very good"), value("[MASK] [MASK] [MASK]")
    assert found["unit"] == "log-odds"
    assert found["value"] == pytest.approx(every, abs=1e-3)
    assert found["baseline"] == pytest.approx(none, abs=1e-3)
    without, alone = value("[MASK] very good"), value("not [MASK] [MASK]")
    wanted = ((every - without) + (alone - none)) / 2
    assert weights(found)["not"] == pytest.approx(wanted, abs=1e-3)
    assert found["passes"] == 7  # each word out, each word alone, and none


def test_a_word_that_speaks_against_the_label_has_a_negative_weight(sentiment: Pipeline) -> None:
    found = sentiment(TEXT, explain=True)
    assert found["answer"][0]["label"] == found["explanation"]["target"]["label"] == "negative"
    found = weights(found["explanation"])
    assert found["doesn't"] > 1 > 0 > found["great"]


def test_another_label_can_be_explained(sentiment: Pipeline) -> None:
    own = sentiment(TEXT, explain=True)["explanation"]
    other = sentiment(TEXT, explain=True, explain_label="positive")["explanation"]
    assert other["target"] == {"label": "positive"}
    # With two labels the odds of one are the inverse odds of the other.
    for word, weight in weights(own).items():
        assert weights(other)[word] == pytest.approx(-weight, abs=1e-4)


def test_a_list_gives_one_explanation_per_text(sentiment: Pipeline) -> None:
    found = sentiment(["good", "bad"], explain=True)
    assert [one["answer"]["label"] for one in found] == ["positive", "negative"]
    assert [[*weights(one["explanation"])] for one in found] == [["good"], ["bad"]]


def test_an_abstaining_answer_is_explained_by_the_label_that_it_withholds() -> None:
    with pipeline("classification", threads=1) as pipe:
        found = pipe("Wake me up at six.", abstain_below=1.0, explain=True)
    assert found["answer"][0]["label"] == "oos"
    assert found["explanation"]["target"] == {"label": "alarm"}


@pytest.mark.parametrize("method", ["occlusion", "shapley"])
def test_long_texts_keep_the_bound_and_share_weights(sentiment: Pipeline, method: str) -> None:
    text = SENTENCE * 60
    found = sentiment(text, explain=True, explain_method=method, explain_passes=60)["explanation"]
    assert found["passes"] <= 60
    assert max(len(one["word"].split()) for one in found["words"]) > 5
    ends = [one["end"] for one in found["words"]]
    assert ends == sorted(ends)
    assert ends[-1] == len(text.rstrip())


def test_a_text_with_more_windows_than_passes_is_an_error(sentiment: Pipeline) -> None:
    with pytest.raises(OptionError, match=r"explain_passes is 8, but the text has \d+ windows"):
        sentiment(SENTENCE * 400, explain=True, explain_passes=8)


def test_only_windows_with_the_answer_are_read_again(qa: Pipeline) -> None:
    context = SENTENCE * 200 + ASKED["qa"]["context"] + SENTENCE * 200
    asked = {"question": "Who met José?", "context": context}
    found = qa(asked, explain=True, explain_passes=64)["explanation"]
    assert found["target"]["text"] == "Angela Merkel"
    near = [one["start"] for one in found["words"] if one["field"] == "context"]
    assert max(near) - min(near) < len(context) / 4


def test_the_question_contributes_to_the_answer(qa: Pipeline) -> None:
    found = qa(ASKED["qa"], explain=True)["explanation"]
    question = [one for one in found["words"] if one["field"] == "question"]
    assert [one["word"] for one in question] == ["Who", "met", "José", "?"]
    assert question[0]["weight"] > 0


def test_another_span_can_be_explained(qa: Pipeline) -> None:
    found = qa(ASKED["qa"], explain=True, explain_span="Berlin")["explanation"]
    assert found["target"]["text"] == "Berlin"
    assert found["value"] < 0  # it is not the answer


def test_an_entity_is_chosen_by_its_text(ner: Pipeline) -> None:
    best = ner(ASKED["ner"], explain=True)
    top = max(best["answer"], key=lambda one: one["score"])
    assert best["explanation"]["target"]["text"] == top["word"]
    found = ner(ASKED["ner"], explain=True, explain_span="Angela Merkel")["explanation"]
    assert found["target"] == {"label": "PER", "text": "Angela Merkel", "start": 2, "end": 15}
    found = ner(ASKED["ner"], explain=True, explain_span="met", explain_label="ORG")["explanation"]
    assert found["target"]["label"] == "ORG"
    assert found["value"] < 0


def test_no_entity_has_no_explanation(ner: Pipeline) -> None:
    assert ner("", explain=True) == {"answer": [], "explanation": None}


@pytest.mark.parametrize(
    ("task", "options", "message"),
    [
        ("sentiment", {"explain_label": "neutral"}, "not a label of the model"),
        ("ner", {"explain_span": "Oslo"}, "not in the text"),
        ("ner", {"explain_span": "met"}, "not an entity of the answer"),
        ("ner", {"explain_span": "met", "explain_label": "PERS"}, "not a label of the model"),
        ("qa", {"explain_span": "Oslo"}, "not in the context"),
    ],
)
def test_what_cannot_be_explained_is_one_clear_error(
    task: str, options: dict[str, Any], message: str
) -> None:
    with pipeline(task, threads=1) as pipe, pytest.raises(OptionError, match=message):
        pipe(ASKED[task], explain=True, **options)


def test_the_command_line_prints_explanations_and_writes_them_to_tables(tmp_path: Any) -> None:
    runner = CliRunner()
    done = runner.invoke(main, ["run", "sentiment", "--explain", "A good day."])
    assert weights(json.loads(done.stdout)["explanation"])["good"] > 0
    table = tmp_path / "found.csv"
    source = tmp_path / "texts.txt"
    source.write_text("Angela met Obama.\n", encoding="utf-8")
    command = ["run", "ner", "--explain", "--input", str(source), "--output", str(table)]
    done = runner.invoke(main, command)
    assert done.exit_code == 0, done.output
    head, first, second = table.read_text(encoding="utf-8").splitlines()
    assert head.endswith("start,end,explanation")
    assert '""words"": [' in first
    assert second.endswith(",")
    done = runner.invoke(main, ["run", "sentiment", "--explain", "--explain-label", "x", "good"])
    assert done.exit_code != 0
    assert "not a label of the model" in done.stderr


def test_both_texts_of_a_pair_have_weights(sentiment: Pipeline) -> None:
    item = {"text": SENTENCE * 40, "text_pair": "It was a dull day."}
    found = sentiment(item, explain=True, explain_passes=60)["explanation"]
    assert {one["field"] for one in found["words"]} == {"text", "text_pair"}
    for one in found["words"]:
        assert item[one["field"]][one["start"] : one["end"]] == one["word"]
