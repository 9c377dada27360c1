"""Tasks without a model of their own: features, zero-shot, fill-mask, summarization, …"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from server_kit import running
from starlette.testclient import TestClient

from nlplug import Pipeline, PluginHost, pipeline
from nlplug.cli.main import main
from nlplug.errors import BundleError, InputError, OptionError
from nlplug.server import create_app
from nlplug.server.pool import ModelPool
from nlplug.testing import (
    tiny_encoder,
    tiny_text_classifier,
    tiny_translator,
    tiny_word_filler,
)

TASKS = (
    "feature-extraction",
    "fill-mask",
    "zero-shot-classification",
    "summarization",
    "text2text-generation",
)
# Each word of a pair counts for contradiction, neutral, entailment.
NLI = {"sport": (-3.0, 0.0, 3.0), "music": (3.0, 0.0, -3.0), "match": (0.0, 0.0, 1.0)}
TEXT = "who won the match"


@pytest.fixture(scope="module")
def pipes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Pipeline]]:
    folder = tmp_path_factory.mktemp("models")
    tiny_encoder(folder / "feature-extraction", max_length=8)
    tiny_word_filler(folder / "fill-mask")
    labels = ("contradiction", "neutral", "ENTAILMENT")
    tiny_text_classifier(folder / "zero-shot-classification", NLI, labels=labels, max_length=16)
    for name in TASKS[3:]:
        tiny_translator(folder / name)
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(pipeline(name, folder / name, threads=1)) for name in TASKS
        }


@pytest.fixture(scope="module")
def classify(pipes: dict[str, Pipeline]) -> Pipeline:
    return pipes["zero-shot-classification"]


@pytest.fixture(scope="module")
def address(pipes: dict[str, Pipeline]) -> Iterator[str]:
    with running(create_app(PluginHost.discover(), models=pipes, only=True)) as found:
        yield found


def test_features_are_vectors_of_tokens_or_of_texts(pipes: dict[str, Pipeline]) -> None:
    embed = pipes["feature-extraction"]
    zero, cat, car = [0.0, 0.0], [1.0, 0.0], [0.0, 2.0]

    assert embed("cat car") == [[zero, cat, car, zero]]
    assert embed(["cat", "cat car"], batch_size=2) == [[[zero, cat, zero]], embed("cat car")]
    assert embed("") == [[zero, zero]]
    assert embed(["car car"], pool="mean") == [[0.0, 1.0]]
    assert embed("car", pool="mean", normalize=True) == [0.0, 1.0]
    assert embed("", pool="mean", normalize=True) == embed("car", pool="cls") == zero
    assert embed("cat car", return_tensors=True).shape == (1, 4, 2)
    with pytest.raises(InputError, match="has 9 tokens; .* room for 6"):
        embed("cat " * 9)
    cut = embed("cat " * 9, tokenize_kwargs={"truncation": True, "max_length": 5})
    assert cut == embed("cat cat cat")
    assert cut == embed("cat " * 9, tokenize_kwargs={"max_length": 5})
    assert cut == embed("cat " * 9, truncation="longest_first", max_length=5)
    assert embed("cat", truncation="do_not_truncate") == embed("cat")
    with pytest.raises(OptionError, match="tokenize_kwargs"):
        embed("cat", tokenize_kwargs={"return_length": True})


@pytest.mark.parametrize("most", [1, 2])
@pytest.mark.parametrize(
    ("task", "text"), [("feature-extraction", "cat car"), ("fill-mask", "[MASK] car")]
)
def test_a_maximum_length_without_room_for_text_is_refused(
    task: str, text: str, most: int, pipes: dict[str, Pipeline]
) -> None:
    with pytest.raises(OptionError, match=f"max_length is {most}, .* 2 tokens are special"):
        pipes[task](text, truncation=True, max_length=most)


@pytest.mark.parametrize(
    ("stated", "modules", "vector"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, ["Pooling"], [0, 0]),
        ({"pooling_mode": "mean"}, ["Transformer", "Pooling", "Normalize"], [0.0, 1.0]),
        ({"pooling_mode": "lasttoken"}, [], "lasttoken"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}, [], r"mean\+max"),
        ({"pooling_mode": ["mean"]}, ["Pooling", "Dense"], r"mean\+Dense"),
    ],
)
def test_the_files_of_sentence_transformers_name_the_pooling(
    stated: dict[str, Any], modules: list[str], vector: Any, tmp_path: Path
) -> None:
    folder = tiny_encoder(tmp_path, max_length=8).path
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(stated))
    listed = [{"type": f"sentence_transformers.models.{name}"} for name in modules]
    (folder / "modules.json").write_text(json.dumps(listed))
    with pipeline("feature-extraction", str(folder)) as embed:
        if isinstance(vector, list):
            assert embed("car car", pool="auto") == vector
        else:
            with pytest.raises(BundleError, match=f"are made by {vector}, which"):
                embed("car car", pool="auto")


def test_features_over_http_and_in_a_table(
    address: str, pipes: dict[str, Pipeline], tmp_path: Path
) -> None:
    embed = pipes["feature-extraction"]
    client = InferenceClient(f"{address}/models/feature-extraction")
    assert client.feature_extraction("cat car").tolist() == embed("cat car")
    long = client.feature_extraction("car " * 9, normalize=True, truncate=True)
    assert long.tolist() == embed("car " * 9, normalize=True, truncation=True)
    for refused in ({"truncation_direction": "left"}, {"prompt_name": "query"}):
        with pytest.raises(HfHubHTTPError, match=f"{next(iter(refused))} is"):
            client.feature_extraction("car", **refused)
    assert client.sentence_similarity("cat", ["cat cat", "car", "cat car car"]) == pytest.approx(
        [1.0, 0.0, 1 / 17**0.5]
    )
    assert client.sentence_similarity("cat", other_sentences=[]) == []
    with pytest.raises(HfHubHTTPError, match=r"inputs\.sentences\.1: "):
        client.sentence_similarity("cat", other_sentences=["car", 3])
    pair = {"source_sentence": "cat", "sentences": ["car", "cat", ""]}
    for pool, found in (("cls", [0.0] * 3), ("mean", [0.0, 1.0, 0.0])):
        reply = httpx.post(client.model, json={"inputs": pair, "parameters": {"pool": pool}})
        assert reply.json() == pytest.approx(found)
    for wrong in ({"inputs": pair, "parameters": {"pool": "none"}}, {"inputs": {"sentences": []}}):
        assert httpx.post(client.model, json=wrong).status_code == 422
    given = {"inputs": ["car"], "parameters": {"pool": "mean", "normalize": True}}
    reply = TestClient(create_app(models=pipes, only=True)).post(
        "/models/feature-extraction", json=given
    )
    assert reply.json() == [[0.0, 1.0]]
    target = tmp_path / "out.csv"
    command = ["run", "feature-extraction", "--model", str(embed.bundle.path), "cat"]
    done = CliRunner().invoke(main, [*command, "--output", str(target)])
    assert done.exit_code == 0, done.output
    with target.open(encoding="utf-8") as file:
        found = [json.loads(row["vector"]) for row in csv.DictReader(file)]
    assert found == embed("cat")[0]


def test_the_labels_come_best_first_and_their_scores_add_up_to_one(classify: Pipeline) -> None:
    found = classify(TEXT, candidate_labels=["music", "sport"])
    assert (found["sequence"], found["labels"]) == (TEXT, ["sport", "music"])
    assert sum(found["scores"]) == pytest.approx(1)
    assert classify(TEXT, ["music", "sport"]) == found
    assert classify(sequences=[TEXT], candidate_labels="music, sport") == [found]


def test_labels_are_scored_alone_if_several_apply_or_there_is_one(classify: Pipeline) -> None:
    many = classify(TEXT, ["music", "sport", "sport"], multi_label=True)
    assert many["scores"][0] == many["scores"][1] > 0.5 > many["scores"][2]
    assert classify(TEXT, "sport")["scores"] == pytest.approx(many["scores"][:1])


def test_the_hypothesis_holds_the_label(classify: Pipeline) -> None:
    other = classify(TEXT, "sport", hypothesis_template="{} match")
    assert other["scores"] != classify(TEXT, "sport")["scores"]
    assert classify(TEXT, "sport", hypothesis_template="{0} match") == other
    # Braces as str.format reads them, as in transformers.
    braces = classify(TEXT, "sport", hypothesis_template="}} {0} match {0} {{")
    assert braces == classify(TEXT, "} sport match sport {", hypothesis_template="{}") | {
        "labels": ["sport"]
    }
    for template in ("nothing", "{} and {}", "{", "{} {name}", "{0.__class__}", "{:>9}", "{!r}"):
        with pytest.raises(OptionError, match="hypothesis_template"):
            classify(TEXT, "sport", hypothesis_template=template)


def test_long_texts_are_read_whole_or_cut_off(classify: Pipeline) -> None:
    long = "who " * 20 + "match"
    whole, cut = (classify(long, "sport", truncation=value) for value in (False, True))
    assert whole["scores"] != cut["scores"]
    assert cut["scores"] == classify("who " * 20, "sport", truncation="only_first")["scores"]


@pytest.mark.parametrize("labels", [[], "", " , "])
def test_labels_are_required(classify: Pipeline, labels: Any) -> None:
    with pytest.raises(OptionError, match="candidate_labels is missing"):
        classify(TEXT, candidate_labels=labels)


def test_a_blank_label_is_refused(classify: Pipeline) -> None:
    with pytest.raises(OptionError, match="candidate_labels"):
        classify(TEXT, candidate_labels=["sport", " "])


def test_the_id_of_entailment_is_an_attribute_of_zero_shot_only(pipes: dict[str, Pipeline]) -> None:
    asked: dict[str, Any] = {name: getattr(pipes[name], "entailment_id", None) for name in TASKS}
    assert asked == {**dict.fromkeys(TASKS), "zero-shot-classification": 2}


def test_a_model_without_entailment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="natural language inference"):
        pipeline("zero-shot-classification", tiny_text_classifier(tmp_path).path)


@pytest.mark.parametrize("name", TASKS)
def test_a_model_is_required_everywhere_with_the_same_words(name: str) -> None:
    host = PluginHost.discover()
    fits = host.task(name).suggested_models[0]
    with pytest.raises(OptionError, match="no default model") as raised:
        pipeline(name)
    assert fits in str(raised.value)
    shown = CliRunner().invoke(main, ["run", name, "a text"])
    assert (shown.exit_code, shown.exception.__class__) == (2, SystemExit)
    assert raised.value.message in shown.output
    assert fits in CliRunner().invoke(main, ["run", name, "--help"]).output.replace("\n", "")
    reply = TestClient(create_app(host)).post(f"/models/{name}", json={"inputs": "a text"})
    assert reply.status_code == 404
    assert raised.value.message in reply.text
    assert fits in reply.text
    pool = ModelPool(host)
    with pytest.raises(OptionError, match="no default model"), pool.lease(host.task(name), ""):
        pass


def test_the_command_takes_labels_with_commas(classify: Pipeline, tmp_path: Path) -> None:
    command = ["run", "zero-shot-classification", "--model", str(classify.bundle.path)]
    done = CliRunner().invoke(main, [*command, TEXT, "--candidate-labels", "music, sport"])
    assert json.loads(done.stdout)["labels"] == ["sport", "music"]
    target = tmp_path / "out.csv"
    flags = ["--candidate-labels", "music", "--candidate-labels", "sport", "--output", str(target)]
    CliRunner().invoke(main, [*command, TEXT, *flags])
    with target.open(encoding="utf-8") as file:
        assert [row["label"] for row in csv.DictReader(file)] == ["sport", "music"]


def test_the_client_fills_masks(address: str) -> None:
    client = InferenceClient(f"{address}/models/fill-mask")
    assert [one.token_str for one in client.fill_mask("a [MASK]", top_k=2)] == ["capital", "city"]
    (one,) = client.fill_mask("a [MASK]", targets=["heart"])
    assert one.token_str == "heart"


def test_the_client_classifies(address: str) -> None:
    client = InferenceClient(f"{address}/models/zero-shot-classification")
    found = client.zero_shot_classification(
        TEXT, ["music", "sport"], multi_label=True, hypothesis_template="It is {}."
    )
    assert [one.label for one in found] == ["sport", "music"]


@pytest.mark.parametrize("agent", ["unknown/None; hf_hub/1.1.7; python/3.12", "", "hf_hub/2.4.0"])
def test_labels_of_one_text_and_of_several_in_the_form_that_the_client_expects(
    pipes: dict[str, Pipeline], agent: str
) -> None:
    client = TestClient(create_app(models=pipes, only=True), headers={"user-agent": agent})

    def ask(inputs: str | list[str]) -> Any:
        body = {"inputs": inputs, "parameters": {"candidate_labels": ["music", "sport"]}}
        return client.post("/models/zero-shot-classification", json=body).json()

    one = ask(TEXT)
    assert ask([TEXT, TEXT]) == [one, one]
    labels = one["labels"] if "1.1" in agent else [each["label"] for each in one]
    assert labels == ["sport", "music"]


def test_the_client_summarizes(address: str) -> None:
    client = InferenceClient(f"{address}/models/summarization")
    assert client.summarization("the cat sees").summary_text == "le chat voit"


def test_text_to_text_answers_and_uses_the_beams_of_transformers(
    pipes: dict[str, Pipeline],
) -> None:
    pipe = pipes["text2text-generation"]
    assert pipe("hello") == [{"generated_text": "bonjour"}]
    assert pipe(["hello", "cat"]) == [{"generated_text": "bonjour"}, {"generated_text": "chat"}]
    assert pipe.generation_config.num_beams == 4


def test_the_parameters_of_a_task_are_those_of_the_model(tmp_path: Path) -> None:
    params = {"summarization": {"prefix": "cat ", "num_beams": 2}}
    bundle = tiny_translator(tmp_path, config={"task_specific_params": params})
    with pipeline("summarization", bundle.path) as pipe:
        assert pipe("hello") == [{"summary_text": "chat bonjour"}]
        assert pipe.defaults["num_beams"] == 2
    with pipeline("text2text-generation", bundle.path) as pipe:
        assert pipe("hello") == [{"generated_text": "bonjour"}]


def test_a_model_that_labels_words_fills_no_masks() -> None:
    with pytest.raises(BundleError, match="token classification: its logits have 9 values per"):
        pipeline("fill-mask", "ner-en")("I am [MASK].")
