"""What Python warns of is on the pages too: for one text, a file, a chat, and in a comparison."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from nlplug import PluginHost, pipeline
from nlplug.server.pool import ModelPool
from nlplug.task import Display, Task
from nlplug.testing import tiny_text_generator, tiny_translator
from nlplug_webui.answering import Answering, PageRequest
from nlplug_webui.batch import Progress, run_batch
from nlplug_webui.batch_report import progress_html
from nlplug_webui.fields import input_controls, option_controls
from nlplug_webui.notices import notice_texts
from nlplug_webui.result import ResultCard
from nlplug_webui.serving import make_app

CUT = {"max_new_tokens": 2}
TOLD = "A text ended at max_new_tokens (2). Give a larger one for the whole text."
TOLD_ZH = "文本在达到 max_new_tokens（2）时结束，可能不完整。如需完整的文本，请增大“最多新词元数”。"
TEXT = "the cat sleeps"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Task → the folder of a tiny model."""
    folder = tmp_path_factory.mktemp("tiny")
    words = {"the": "le", "cat": "chat", "sleeps": "dort"}
    context = {"max_position_embeddings": 4}
    return {
        "translation": str(tiny_translator(folder / "translator", words).path),
        "text2text-generation": str(tiny_translator(folder / "short", words, config=context).path),
        "generation": str(tiny_text_generator(folder / "tale", max_length=16).path),
    }


def warned(task: str, model: str, text: str, **options: Any) -> list[str]:
    """What a call in Python warns of."""
    with warnings.catch_warnings(record=True) as caught, pipeline(task, model) as pipe:
        warnings.simplefilter("always")
        pipe(text, **options)
    return [str(one.message) for one in caught]


def lines(html: str) -> list[str]:
    """The notices of a page."""
    found = re.findall(r'<p class="np-note np-notice" role="status">(.*?)</p>', html)
    return [unescape(text) for text in found]


def on_page(
    task: Task, model: str, text: str, language: str = "en", *, grows: bool = True, **options: Any
) -> list[str]:
    """The notices above the answer to a form."""
    pool = ModelPool(PluginHost.discover(only={task.name}))
    inputs, controls = input_controls(task), option_controls(task)
    card = ResultCard(Display.TEXT, "nothing yet", str)  # type: ignore[arg-type]
    card.outputs = [None]
    values = [text, *(c.to_form(options.get(c.name, c.initial)) for c in controls)]
    question = PageRequest("me", language, model, "auto", {}, values)
    answering = Answering(task, pool, inputs, controls, card)
    try:
        *_, (html,) = answering.growing(question, "") if grows else [answering.whole(question)]
    finally:
        pool.close()
    return lines(html)


@pytest.mark.parametrize("grows", [True, False])
@pytest.mark.parametrize(
    ("name", "text", "options"),
    [
        ("translation", TEXT, CUT),
        ("text2text-generation", TEXT, {"min_new_tokens": 4}),
        ("generation", "once upon", {"do_sample": False}),
    ],
)
def test_a_page_says_what_python_warns_of(
    models: dict[str, str], name: str, text: str, options: dict[str, Any], grows: bool
) -> None:
    task = PluginHost.discover(only={name}).task(name)
    expected = warned(name, models[name], text, **options)
    assert len(expected) == 1
    assert on_page(task, models[name], text, grows=grows, **options) == expected
    (chinese,) = on_page(task, models[name], text, "zh", grows=grows, **options)
    assert chinese.startswith("文本在达到")
    assert "ended" not in chinese


def test_a_whole_answer_has_no_notice(models: dict[str, str]) -> None:
    task = PluginHost.discover(only={"translation"}).task("translation")
    assert on_page(task, models["translation"], TEXT) == []


def test_every_warning_about_fill_mask_has_a_translation() -> None:
    told = [
        "The target '' has no token and is left out.",
        "The target 'ab' is not a single token; 'a' is used instead.",
        "something new",
    ]
    assert notice_texts(told, "zh") == [
        "目标 '' 没有对应的词元，已忽略。",
        "目标 'ab' 不是单个词元，改用 'a'。",
        "something new",
    ]


def batch(task: str, model: str, source: Path, **options: Any) -> Progress:
    with pipeline(task, model) as pipe:
        *_, end = run_batch(pipe, source, {"text": "text"}, options, source.parent, total=3)
    return end


def test_a_batch_counts_the_texts_that_were_cut(models: dict[str, str], tmp_path: Path) -> None:
    source = tmp_path / "texts.txt"
    source.write_text(f"{TEXT}\ncat\n{TEXT}\n", encoding="utf-8")
    end = batch("translation", models["translation"], source, **CUT)
    assert lines(progress_html(end, "en")) == [TOLD.replace("A text", "2 texts")]
    assert lines(progress_html(end, "zh")) == [TOLD_ZH.replace("文本", "2 个文本", 1)]


def test_a_prompt_that_is_too_long_does_not_change_the_counts(
    models: dict[str, str], tmp_path: Path
) -> None:
    source = tmp_path / "texts.txt"
    long = " ".join(["once"] * 30)
    source.write_text(f"从前有一个国王\n{long}\nonce upon\nonce upon\n从前有\n", encoding="utf-8")
    end = batch("generation", models["generation"], source, do_sample=False)
    assert (end.done, end.skipped) == (4, 1)
    foreign, cut = lines(progress_html(end, "en").replace(" np-foreign", ""))
    assert foreign.startswith("2 of 4 texts look like unknown characters.")
    assert cut.startswith("2 texts ended at the model's context of 16 tokens, before")


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    app = make_app(tasks=("translation", "generation"))
    with TestClient(app, base_url="http://127.0.0.1", headers={"x-nlplug-page": "1"}) as made:
        yield made


def test_a_translated_file_has_them_at_its_end(client: TestClient, models: dict[str, str]) -> None:
    call = {"task": "translation", "model": models["translation"], "item": {"text": TEXT}}
    for language, told in (("en", [TOLD]), ("zh", [TOLD_ZH])):
        reply = client.post(
            "np-products/whole",
            json={**call, "options": CUT},
            headers={"accept-language": language},
        )
        *_, end = [json.loads(line) for line in reply.text.splitlines()]
        assert end == {"done": True, "finish": "length", "notices": told}
    *_, end = client.post("np-products/whole", json=call).text.splitlines()
    assert json.loads(end) == {"done": True, "finish": "eos", "notices": []}


def test_a_comparison_has_those_of_each_side(client: TestClient, models: dict[str, str]) -> None:
    sides = [{"model": models["translation"]}] * 2
    body = {"sides": sides, "values": [TEXT], "options": CUT}
    found = client.post("np-compare/tasks/translation/text", json=body).json()
    assert [one["notices"] for one in found["sides"]] == [[TOLD], [TOLD]]
