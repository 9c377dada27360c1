"""What the card of the model shows while requests of one page overtake each other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from language_kit import installed_languages

from nlplug import PluginHost
from nlplug.server.pool import ModelPool
from nlplug_webui.model_card import ModelCard
from nlplug_webui.task_page import TaskPage

ME: Any = SimpleNamespace(session_hash="me", headers={}, query_params={}, cookies={})
FIRST, OTHER, GONE = "auto", "leaning-zh", "/no/such/folder"


@pytest.fixture
def card(tmp_path: Path) -> Iterator[ModelCard]:
    with installed_languages(tmp_path) as host:
        pool = ModelPool(host)
        with gr.Blocks() as blocks:
            made = ModelCard(host.task("leaning"), pool, blocks, lambda key: key)
            made.build()
            made.wire([], [], [])
        yield made
        pool.close()


def facts(found: list[Any]) -> str:
    """The facts of an update; empty if the card stays as it is."""
    return found[1] if isinstance(found[1], str) else ""


def test_the_last_step_of_opening_does_not_hide_a_later_choice(card: ModelCard) -> None:
    assert "np-model-name" in facts(card._opened(ME, FIRST, {}))
    assert "np-error" in facts(card._changed(ME, GONE, {}))
    # It was sent before the choice, and is answered after it.
    assert facts(card._settled(ME, FIRST, {})) == ""


def test_the_last_step_of_opening_shows_a_choice_that_opening_has_hidden(card: ModelCard) -> None:
    card._changed(ME, OTHER, {})
    assert facts(card._opened(ME, FIRST, {})) == ""
    assert "np-model-name" in facts(card._settled(ME, OTHER, {}))
    card._changed(ME, GONE, {})
    assert facts(card._settled(ME, OTHER, {})) == ""


def test_a_choice_before_the_page_sends_changes_is_shown(card: ModelCard) -> None:
    assert "np-error" not in facts(card._opened(ME, GONE, {}))  # it only names it
    assert "np-error" in facts(card._settled(ME, GONE, {}))


def test_several_models_are_listed_with_their_languages(card: ModelCard) -> None:
    assert card.name.choices[1] == ("auto", "auto")
    named = {value: shown for shown, value in card.name.choices}
    assert (named["leaning-en"], named[OTHER]) == ("leaning-en (en)", f"{OTHER} (zh)")


def test_models_of_a_workspace_are_listed_by_their_names() -> None:
    host = PluginHost.discover()
    pool = ModelPool(host, folders=lambda task: [f"/a/models/my-{task}"])
    with gr.Blocks() as blocks:
        made = ModelCard(host.task("qa"), pool, blocks, lambda key: key)
        made.build()
    pool.close()
    assert ("my-qa", "/a/models/my-qa") in made.name.choices


def test_a_form_begins_with_the_defaults_of_its_model() -> None:
    """Who answers before the card of the model is there sees and gets what the model wants."""
    host = PluginHost.discover()
    pool = ModelPool(host)
    with gr.Blocks() as blocks:
        TaskPage(host.task("ner"), pool, blocks, lambda key: key).build()
    pool.close()
    values = {block.elem_id: getattr(block, "value", None) for block in blocks.blocks.values()}
    assert values["ner-option-aggregation_strategy"] == "first"
    states = [block.value for block in blocks.blocks.values() if isinstance(block, gr.State)]
    assert {"aggregation_strategy": "first"} in states


def test_a_page_with_models_for_several_languages_begins_with_auto(card: ModelCard) -> None:
    assert card.first == card.name.value == FIRST
    assert "np-model-name" in facts(card._opened(ME, FIRST, {}))


def test_opening_alone_changes_nothing_more(card: ModelCard) -> None:
    card._opened(ME, FIRST, {})
    assert facts(card._settled(ME, FIRST, {})) == ""
