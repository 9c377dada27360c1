"""The model ``auto`` answers each text with the installed model that knows its language."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from itertools import count

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient
from language_kit import CHINESE, ENGLISH, FRENCH, GERMAN, installed_languages

from nlplug import Pipeline, pipeline
from nlplug.cli.main import main
from nlplug.errors import InputError, OptionError, UnknownTask
from nlplug.plugins import PluginHost
from nlplug.server.app import create_app
from nlplug.text.language import script_share


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PluginHost]:
    with installed_languages(tmp_path_factory.mktemp("site")) as found:
        yield found


@pytest.fixture
def pipe(host: PluginHost) -> Iterator[Pipeline]:
    with pipeline("leaning", "auto", host=host) as opened:
        yield opened


def test_each_text_is_answered_by_the_model_of_its_language(pipe: Pipeline) -> None:
    # leaning-en2 adds no language.
    assert [bundle.name for bundle in pipe.bundles] == ["en", "de", "zh"]
    texts = [CHINESE, ENGLISH, GERMAN, CHINESE]
    together = pipe(texts)
    for text, code, answer in zip(texts, ("zh", "en", "de", "zh"), together, strict=True):
        assert pipe.bundle_for(text).name == code
        with pipeline("leaning", pipe.bundle_for(text)) as alone:
            assert answer["label"] == "positive"
            assert answer["score"] == pytest.approx(alone(text)[0]["score"], abs=1e-6)
    assert pipe.answered == {"zh": 2, "en": 1, "de": 1}
    assert pipe(CHINESE, top_k=2)[0] == pytest.approx(together[0])


def test_what_no_model_knows_is_answered_by_the_default_with_a_warning(pipe: Pipeline) -> None:
    found = pipe.foreign([FRENCH, CHINESE, ENGLISH])
    assert dict(found.found) == {"fr": 1}
    assert found.known == ("en", "de", "zh")
    assert pipe.bundle_for(FRENCH).name == "en"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("iPhone 很好用", "zh"),
        ("OK", "en"),
        ("👍", "en"),
        ("Li Bai (李白) was a poet of the Tang dynasty", "en"),
        ("我在 Facebook 上看到 Mark Zuckerberg 的消息", "zh"),
    ],
)
def test_names_in_other_letters_do_not_choose(pipe: Pipeline, text: str, code: str) -> None:
    assert pipe.bundle_for(text).name == code


def test_a_stream_keeps_its_order_and_is_read_in_parts(pipe: Pipeline) -> None:
    read = count()

    def endless() -> Iterator[str]:
        for number in read:
            yield f"{ENGLISH} {number}" if number % 3 else CHINESE

    answers = pipe.map(endless())
    scores = [next(answers)["score"] for _ in range(300)]
    assert next(read) <= 1024
    assert all(scores[n] == scores[0] for n in range(0, 300, 3))
    assert scores[1] != scores[0]


def test_an_error_comes_after_the_answers_before_it(pipe: Pipeline) -> None:
    answers = pipe.map([ENGLISH, CHINESE, " ", ENGLISH])
    assert next(answers)["label"] == next(answers)["label"] == "positive"
    with pytest.raises(InputError, match="Input 2"):
        next(answers)


def test_a_copy_chooses_too(pipe: Pipeline) -> None:
    with pickle.loads(pickle.dumps(pipe)) as copy:
        assert copy(CHINESE) == pipe(CHINESE)
        assert copy.bundle_for(GERMAN).name == "de"


def test_a_server_names_the_models(host: PluginHost) -> None:
    with TestClient(create_app(host)) as client:
        names = [model["name"] for model in client.get("/models").json()["models"]]
        assert "leaning-auto" in names
        reply = client.post("/models/leaning-auto", json={"inputs": [CHINESE, ENGLISH, FRENCH]})
        assert reply.status_code == 200
        assert json.loads(reply.headers["X-Nlplug-Models"]) == {"zh": 1, "en": 2}
        assert "French" in json.loads(reply.headers["X-Nlplug-Warnings"])[0]
        alone = client.post("/models/leaning-zh", json={"inputs": CHINESE})
        assert reply.json()[0] == alone.json()[0]
        assert "X-Nlplug-Models" not in alone.headers


@pytest.mark.usefixtures("host")
def test_the_command_says_which_models_answered() -> None:
    result = CliRunner().invoke(main, ["run", "leaning", ENGLISH, CHINESE, "--model", "auto"])
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) == 2
    assert "Answered by en (1), zh (1)" in result.stderr


def test_auto_needs_a_task_and_a_model(host: PluginHost) -> None:
    with pytest.raises(UnknownTask, match="task"):
        pipeline(model="auto", host=host)
    with pytest.raises(OptionError, match="fill-mask"):
        pipeline("fill-mask", "auto")


def test_a_chinese_character_counts_as_a_word() -> None:
    assert script_share("iPhone 很好用", ["zh"]) == pytest.approx(3 / 4)
    assert script_share("iPhone 很好用", ["en"]) == pytest.approx(1 / 4)
    assert script_share("12 + 3 = 15!", ["en"]) == 0
