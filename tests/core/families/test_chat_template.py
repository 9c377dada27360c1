"""Chat templates: rendered as transformers renders them, in a sandbox."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nlplug.errors import BundleError, InputError
from nlplug.families.causal_lm.chat_template import ChatTemplate, chat_template_of
from nlplug.models.bundle import Bundle
from nlplug.testing import tiny_text_generator

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
ALTERNATING = """{{ bos_token }}
{%- for message in messages %}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('Roles must alternate user/assistant/…') }}
    {%- endif %}
    {%- if message['role'] == 'user' %}
        {{- '[INST] ' + message['content'] | trim + ' [/INST]' }}
    {%- else %}
        {{- ' ' + message['content'] | trim + eos_token }}
    {%- endif %}
{%- endfor %}"""
HELPERS = """{%- set now = strftime_now('%Y') -%}
Year: {{ now | length }}
{{ messages | tojson(indent=2) }} {{ {'a': '<é>'} | tojson }}
{% for message in messages %}
    {%- if loop.index0 == 1 %}{% break %}{% endif %}
    {% generation %}{{ message.content }}{% endgeneration %}
    {{ message.get('name', 'nobody') }}
{% endfor %}
{% if tools is none and documents is none %}none{% endif %} {{ pad_token is defined }}"""
TEMPLATES = {"chatml": CHATML, "alternating": ALTERNATING, "helpers": HELPERS}
CHATS: list[list[dict[str, str]]] = [
    [{"role": "user", "content": " Who? "}],
    [
        {"role": "user", "content": "Wer?"},
        {"role": "assistant", "content": 'Ich <b>bin</b> "es" – 我\n'},
        {"role": "user", "content": "And now"},
    ],
    [
        {"role": "user", "content": "Begin", "name": "Anna"},
        {"role": "assistant", "content": "  It was a dark "},
    ],
]


def written(folder: Path, template: Any, **more: Any) -> Bundle:
    bundle = tiny_text_generator(folder)
    values = {**bundle.repository.tokenizer_config, "bos_token": {"content": "<s>"}, **more}
    if template is not None:
        values["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(values))
    return Bundle.open(folder)


def theirs(bundle: Bundle) -> Any:
    from transformers import PreTrainedTokenizerFast

    named = {key: bundle.repository.tokenizer_config[key] for key in ("eos_token", "unk_token")}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(bundle.tokenizer_file), bos_token="<s>", **named
    )
    tokenizer.chat_template = bundle.repository.tokenizer_config["chat_template"]
    return tokenizer


@pytest.mark.parametrize("name", TEMPLATES)
def test_prompts_are_those_of_transformers(tmp_path: Path, name: str) -> None:
    bundle = written(tmp_path, TEMPLATES[name])
    template, tokenizer = chat_template_of(bundle), theirs(bundle)
    assert template is not None
    for chat in CHATS:
        expected = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        assert template.render(chat) == expected


@pytest.mark.parametrize("name", ["chatml", "alternating"])
def test_so_are_those_that_continue_a_message(tmp_path: Path, name: str) -> None:
    bundle = written(tmp_path, TEMPLATES[name])
    template, tokenizer = chat_template_of(bundle), theirs(bundle)
    assert template is not None
    chat = CHATS[2]
    expected = tokenizer.apply_chat_template(chat, tokenize=False, continue_final_message=True)
    assert template.render(chat, continue_final=True) == expected
    assert chat == CHATS[2]  # what the caller gave is as it was


def test_a_file_of_its_own_wins_over_the_config(tmp_path: Path) -> None:
    bundle = written(tmp_path, "config")
    (tmp_path / "chat_template.jinja").write_text("file", encoding="utf-8")
    template = chat_template_of(bundle)
    assert template is not None
    assert template.render(CHATS[0]) == "file"


def test_of_several_the_default_is_taken(tmp_path: Path) -> None:
    several = [
        {"name": "tool_use", "template": "tools"},
        {"name": "default", "template": "{{ bos_token }}plain"},
    ]
    template = chat_template_of(written(tmp_path, several))
    assert template is not None
    assert template.render(CHATS[0]) == "<s>plain"


def test_a_model_may_have_none(tmp_path: Path) -> None:
    assert chat_template_of(written(tmp_path, None)) is None


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append({}) }}",
        "{{ messages[0].__init__.__globals__ }}",
        "{% for i in range(10000000) %}{% endfor %}",
        "{{ undefined.field }}",
        "{{ raise_exception('no') }}",
    ],
)
def test_what_a_template_may_not_do_is_refused(template: str) -> None:
    with pytest.raises(InputError, match="chat template"):
        ChatTemplate(template, {}).render(CHATS[0])


def test_a_template_that_is_none_is_the_models_fault() -> None:
    with pytest.raises(BundleError, match="cannot be read"):
        ChatTemplate("{% for %}", {})


def test_a_message_that_the_template_loses_cannot_be_continued() -> None:
    with pytest.raises(InputError, match="cannot be continued"):
        ChatTemplate("{{ messages[0].content }}", {}).render(CHATS[1], continue_final=True)
