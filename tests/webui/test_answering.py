"""What the result card is given while a text is made, and what ends it; without a browser."""

from __future__ import annotations

import re
from asyncio import CancelledError
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from language_kit import CHINESE, ENGLISH, installed_languages

from nlplug.plugins import PluginHost
from nlplug.server.pool import ModelPool
from nlplug.task import Display, Task
from nlplug.testing import tiny_text_generator
from nlplug_webui.answering import Answering, PageRequest
from nlplug_webui.fields import input_controls, option_controls
from nlplug_webui.result import ResultCard
from nlplug_webui.runs import Ending

EMPTY = "nothing yet"


class Form:
    """The form of a page, filled in.

    Args:
        task: Its task.
        pool: The models.
        model: The model picked.
    """

    def __init__(self, task: Task, pool: ModelPool, model: str) -> None:
        self.inputs, self.options = input_controls(task), option_controls(task)
        card = ResultCard(Display.TEXT, EMPTY, str)  # type: ignore[arg-type]
        card.outputs = [None]  # a card of one component, which nobody lays out here
        self.answering = Answering(task, pool, self.inputs, self.options, card)
        self.model = model

    def ask(self, text: str = "once upon", visitor: str = "me", **options: Any) -> Iterator[str]:
        values = [text, *(c.to_form(options.get(c.name, c.initial)) for c in self.options)]
        question = PageRequest(visitor, "en", self.model, "auto", {}, values)
        for (html,) in self.answering.growing(question, EMPTY):
            yield html


@pytest.fixture(scope="module")
def form(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Form]:
    """On a model whose tale goes round for as long as it may."""
    bundle = tiny_text_generator(tmp_path_factory.mktemp("tale") / "tale", max_length=4096)
    host = PluginHost.discover(only={"generation"})
    pool = ModelPool(host)
    yield Form(host.task("generation"), pool, str(bundle.path))
    pool.close()


def shown(html: str) -> str:
    """The text content of the generated text."""
    found = re.search(r'<div class="np-text">(.*?)</div>', html, re.DOTALL)
    assert found is not None
    return unescape(re.sub(r"<[^>]*>", "", found[1]))


def test_the_text_grows_until_it_is_whole(form: Form) -> None:
    *before, last = form.ask(do_sample=False, max_new_tokens=2000)
    assert len(before) >= 2
    assert all("np-growing" in html for html in before)
    assert [len(html) for html in before] == sorted(len(html) for html in before)
    assert "np-answer" in last
    assert '<span class="np-given">once upon</span>' in last
    assert shown(last).startswith("once upon a time there was")
    assert re.search(r'title="Probability: [\d.]+%"> a</span>', last)
    for part in (
        "2,000 tokens",
        "tokens per second",
        "first token after",
        "maximum length reached",
    ):
        assert part in last


def test_the_prompt_can_be_left_out(form: Form) -> None:
    *_, last = form.ask(do_sample=False, max_new_tokens=3, return_full_text=False)
    assert "np-given" not in last
    assert shown(last) == " a time there"


def test_a_text_that_is_stopped_is_kept(form: Form) -> None:
    growing = form.ask(do_sample=False, max_new_tokens=4000)
    next(growing)
    next(growing)
    form.answering.runs.end("somebody else", Ending.STOPPED)
    form.answering.runs.end("me", Ending.STOPPED)
    (last,) = growing
    assert "np-answer" in last
    assert ">stopped<" in last
    assert "4,000 tokens" not in last
    assert not form.answering.runs.busy("me")


def test_a_text_that_is_cleared_is_gone(form: Form) -> None:
    growing = form.ask(do_sample=False, max_new_tokens=4000)
    next(growing)
    next(growing)
    form.answering.runs.end("me", Ending.CLEARED)
    assert list(growing) == [EMPTY]


def test_a_new_text_takes_the_place_of_one_under_way(form: Form) -> None:
    first = form.ask(do_sample=False, max_new_tokens=4000)
    next(first)
    next(first)
    second = form.ask(do_sample=False, max_new_tokens=4000)
    next(second)
    assert list(first) == []
    assert form.answering.runs.busy("me")
    form.answering.runs.end("me", Ending.STOPPED)
    assert ">stopped<" in list(second)[-1]


def test_whoever_goes_away_leaves_nothing_under_way(form: Form) -> None:
    growing = form.ask(do_sample=False, max_new_tokens=4000)
    next(growing)
    next(growing)
    growing.close()  # type: ignore[attr-defined]
    assert not form.answering.runs.busy("me")


def test_several_texts_come_whole(form: Form) -> None:
    _, last = form.ask(num_beams=2, num_return_sequences=2, max_new_tokens=4)
    assert last.count('class="np-text"') == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"text": ""}, "The prompt is empty."),
        ({"max_new_tokens": 0}, "max_new_tokens is 0"),
        ({"num_beams": 2, "num_return_sequences": 3}, "num_return_sequences is 3"),
    ],
)
def test_what_is_wrong_takes_the_place_of_the_text(
    form: Form, options: dict[str, Any], words: str
) -> None:
    *_, last = form.ask(**options)
    assert "np-card-message" in last
    assert words in last


@pytest.mark.parametrize(
    "failure", [SystemExit(3), KeyboardInterrupt(), BaseException("panic"), CancelledError()]
)
@pytest.mark.parametrize("grows", [False, True])
def test_what_would_end_a_thread_is_an_error_on_the_page(
    form: Form, failure: BaseException, grows: bool
) -> None:
    class Failing(Answering):
        def _answer(self, *_: Any) -> list[Any]:
            raise failure

    class FailingForm(Form):
        def whole(self) -> str:
            values = ["once", *(c.to_form(c.initial) for c in self.options)]
            question = PageRequest("me", "en", self.model, "auto", {}, values)
            (html,) = self.answering.whole(question)
            return str(html)

    task, pool = form.answering._task, form.answering._pool
    failing = FailingForm(task, pool, form.model)
    failing.answering = Failing(
        task, pool, failing.inputs, failing.options, failing.answering._result
    )
    html = [*failing.ask(num_return_sequences=2)][-1] if grows else failing.whole()
    assert f"{type(failure).__name__} was raised" in html


def test_a_text_that_the_model_cannot_read_has_a_notice(form: Form) -> None:
    *_, last = form.ask("从前有一个国王", do_sample=False, max_new_tokens=3)
    assert "np-foreign" in last
    assert "The text looks like unknown characters. The answer may be wrong." in last
    *_, last = form.ask(do_sample=False, max_new_tokens=3)
    assert "np-foreign" not in last


def test_the_model_that_the_language_chose_is_named(tmp_path: Path) -> None:
    with installed_languages(tmp_path) as host:
        pool = ModelPool(host)
        task = host.task("leaning")
        inputs, options = input_controls(task), option_controls(task)
        card = ResultCard(Display.LABEL, EMPTY, str)  # type: ignore[arg-type]
        card.outputs = [None] * 3
        answering = Answering(task, pool, inputs, options, card)
        for text, model in ((CHINESE, "zh"), (ENGLISH, "en")):
            values = [text, "", *(control.to_form(control.initial) for control in options)]
            found = answering.whole(PageRequest("me", "en", "auto", "auto", {}, values))
            assert f">{model}<" in "".join(map(str, found)), found
        pool.close()
