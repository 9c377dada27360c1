"""Chat templates: rendered as transformers renders them, in a sandbox."""

from __future__ import annotations

import contextlib
import json
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from fuzz_kit import bounded
from hypothesis import given
from hypothesis import strategies as st

from nlplug.errors import BundleError, InputError
from nlplug.models.bundle import Bundle
from nlplug.runtime import chat_sandbox
from nlplug.runtime.chat_template import ChatTemplate, append_text, chat_template_of
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


STRIPS = "4.57"
"""Earlier versions of transformers keep the space at the end of a message that is continued."""


def theirs(bundle: Bundle, since: str | None = None) -> Any:
    tokenizers = pytest.importorskip("transformers", minversion=since)

    named = {key: bundle.repository.tokenizer_config[key] for key in ("eos_token", "unk_token")}
    tokenizer = tokenizers.PreTrainedTokenizerFast(
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
    template, tokenizer = chat_template_of(bundle), theirs(bundle, since=STRIPS)
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


def test_a_file_for_tools_is_taken_for_chats_with_tools(tmp_path: Path) -> None:
    bundle = written(tmp_path, "config")
    (tmp_path / "additional_chat_templates").mkdir()
    (tmp_path / "additional_chat_templates" / "tool_use.jinja").write_bytes(b"\xef\xbb\xbftools")
    for tools, expected in ((True, "tools"), (False, "config")):
        template = chat_template_of(bundle, tools=tools)
        assert template is not None
        assert template.render(CHATS[0]) == expected


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    bundle = written(tmp_path, "config")
    (tmp_path / "chat_template.jinja").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BundleError, match=r"chat_template\.jinja is not in UTF-8"):
        chat_template_of(bundle)


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


TOOLS = [
    {
        "type": "function",
        "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
    }
]
WITH_TOOLS = """{%- for tool in tools or [] %}{{ tool | tojson }}{% endfor %}
{%- for message in messages %}
    {{- '<' ~ message.role ~ '>' }}
    {%- if message.content is string %}{{ message.content }}
    {%- elif message.content %}
        {%- for part in message.content if part.type == 'text' %}{{ part.text }}{% endfor %}
    {%- endif %}
    {%- for call in message.tool_calls or [] %}
        {{- call.function.name ~ '(' ~ call.function.arguments | tojson ~ ')' }}
    {%- endfor %}
{%- endfor %}
{%- if enable_thinking is defined and not enable_thinking %}<no_think>{% endif %}
{%- if add_generation_prompt %}<assistant>{% endif %}"""
TOOL_CHATS: list[list[dict[str, Any]]] = [
    [{"role": "user", "content": [{"type": "text", "text": "Look: "}, {"type": "image"}]}],
    [
        {"role": "user", "content": "Rain?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"type": "function", "function": {"name": "weather", "arguments": {"city": "Ulm"}}}
            ],
        },
        {"role": "tool", "name": "weather", "content": "no"},
    ],
]


@pytest.mark.parametrize("variables", [{}, {"enable_thinking": False}], ids=str)
@pytest.mark.parametrize("tools", [None, TOOLS], ids=["no tools", "tools"])
def test_parts_tool_calls_tools_and_variables_are_rendered_as_by_transformers(
    tmp_path: Path, tools: Any, variables: dict[str, Any]
) -> None:
    bundle = written(tmp_path, WITH_TOOLS)
    template, tokenizer = chat_template_of(bundle), theirs(bundle)
    assert template is not None
    for chat in TOOL_CHATS:
        expected = tokenizer.apply_chat_template(
            chat, tools=tools, tokenize=False, add_generation_prompt=True, **variables
        )
        assert template.render(chat, tools=tools, variables=variables) == expected


def test_a_message_of_parts_is_continued_at_its_last_text(tmp_path: Path) -> None:
    bundle = written(tmp_path, WITH_TOOLS)
    template, tokenizer = chat_template_of(bundle), theirs(bundle, since=STRIPS)
    assert template is not None
    parts = [{"type": "text", "text": "One"}, {"type": "text", "text": " two "}, {"type": "image"}]
    chat = [{"role": "user", "content": "Count"}, {"role": "assistant", "content": parts}]
    expected = tokenizer.apply_chat_template(chat, tokenize=False, continue_final_message=True)
    assert template.render(chat, continue_final=True) == expected
    assert append_text(chat[-1], "three")["content"][1] == {"type": "text", "text": " two three"}


def test_a_message_without_text_cannot_be_continued() -> None:
    with pytest.raises(InputError, match="no text"):
        ChatTemplate(WITH_TOOLS, {}).render(TOOL_CHATS[1][:2], continue_final=True)


def test_tools_select_the_template_for_tools(tmp_path: Path) -> None:
    several = [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": "plain"}]
    bundle = written(tmp_path, several)
    for tools, expected in ((True, "tools"), (False, "plain")):
        template = chat_template_of(bundle, tools=tools)
        assert template is not None
        assert template.render(CHATS[0]) == expected


PARTS = [
    "{{", "}}", "{%", "%}", "{#", "#}", " messages", ".content", "['role']", "|", "~", "(", ")",
    "[", "]", ":", ",", "=", "'a'", " 1", " 999999", " for m in", " endfor", " if", " endif",
    " set x =", " macro f(a)", " endmacro", " f(", " range(", "tojson", "join", "map", "loop",
    " namespace(",
    " is", " defined", " raise_exception(", "strftime_now(", "'%Y'", "**", "*", "%", "-", " m",
    " import", " include", " extends", " block", " call", " filter", " caller()", "__class__",
    ".format(", "\n", "é", "😀", "\0", " self", " super()", " break", " generation",
]  # fmt: skip
ATOMS = [
    "{{ messages }}", "{{ m.content }}", "{% for m in messages %}", "{% endfor %}", "{{ f(f) }}",
    "{% if m is defined %}", "{% endif %}", "{% set x = messages %}", "{{ x ~ x }}", "{{ x * 3 }}",
    "{% macro f(a) %}", "{% endmacro %}", "{{ x | tojson }}", "{{ messages[9] }}", "{{ x() }}",
    "{{ messages[0]['content'] + 1 }}", "{{ 1 // 0 }}", "{% break %}", "{{ f(1)(2) }}", "text",
    "{{ x | sort | first }}", "{{ x.format(x) }}", "{{ '%s' % x }}", "{{ x[::-1] }}",
]  # fmt: skip
SOURCES = st.lists(st.sampled_from(PARTS) | st.text(max_size=3), max_size=14).map("".join)
SOURCES |= st.lists(st.sampled_from(ATOMS), max_size=8).map("".join)
VALUES = st.none() | st.text(max_size=6) | st.integers() | st.lists(
    st.dictionaries(st.sampled_from(["type", "text", "x"]), st.text(max_size=4)), max_size=2
)  # fmt: skip
MESSAGES = st.lists(
    st.dictionaries(st.sampled_from(["role", "content", "name", "tool_calls", "é"]), VALUES),
    min_size=1,
    max_size=3,
)


@pytest.mark.fuzz
@bounded(300)
@given(source=SOURCES, messages=MESSAGES, final=st.booleans())
def test_any_template_and_any_messages_are_a_prompt_or_an_error_that_is_ours(
    source: str, messages: list[dict[str, Any]], final: bool
) -> None:
    with contextlib.suppress(BundleError, InputError):
        prompt = ChatTemplate(source, {}).render(messages, continue_final=final)
        assert isinstance(prompt, str)


@pytest.mark.parametrize(
    "source",
    ["{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "{{ " + "-" * 3000 + "1 }}",
     "{% if 1 %}" * 3000 + "{% endif %}" * 3000, "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"],
    ids=["parentheses", "signs", "blocks", "recursion"],
)  # fmt: skip
def test_a_template_that_is_nested_too_deeply_is_refused(source: str) -> None:
    with pytest.raises((BundleError, InputError), match="chat template"):
        ChatTemplate(source, {}).render(CHATS[0])


GROWING = (
    "{% set ns = namespace(x=START) %}{% for i in range(60) %}{% set ns.x = STEP %}{% endfor %}"
)
HOSTILE = {
    "product": "{{ 'a' * 10**9 }}",
    "power": "{% set x = 10 ** 999 %}{{ x ** 999 }}",
    "sum": GROWING.replace("START", "'a'").replace("STEP", "ns.x + ns.x"),
    "concatenation": GROWING.replace("START", "'a'").replace("STEP", "ns.x ~ ns.x"),
    "nested lists": GROWING.replace("START", "['a']").replace("STEP", "[ns.x, ns.x]"),
    "nested dicts": GROWING.replace("START", "{}").replace("STEP", "{1: ns.x, 2: ns.x}"),
    "namespaces": "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}",
    "filter": "{{ 'a' | center(1000000000) }}",
    "method": "{{ 'a'.ljust(1000000000) }}",
    "percent": "{{ '%0999999999d' % 1 }}",
    "percent with width": "{{ '%*d' % (999999999, 1) }}",
    "format": "{{ '{:>999999999}'.format(1) }}",
    "format with width": "{{ '{:>{}}'.format(1, 999999999) }}",
    "format filter": "{{ '%0999999999d' | format(1) }}",
    "replace": "{{ ('a' * 99999).replace('a', 'b' * 99999) }}",
    "replace filter": "{{ ('a' * 99999) | replace('a', 'b' * 99999) }}",
    "join": "{{ ('a' * 1000).join(['b'] * 99999) }}",
    "join filter": "{{ (['a' * 1000] * 99999) | join }}",
    "indent": "{{ ('a\n' * 99999) | indent(99999) }}",
    "expandtabs": "{{ ('\t' * 99999).expandtabs(99999) }}",
    "translate": "{{ ('a' * 99999).translate({97: 'b' * 99999}) }}",
    "bytes": "{{ 'a'.encode().ljust(99999) }}",
    "product of bytes": "{{ ('a'.encode() * 10**9) | length }}",
    "bytes of a number": "{{ (1).to_bytes(10**9, 'big') | length }}",
    "method of a type": "{{ (1).from_bytes('a' * 99999, 'big') }}{{ {}.fromkeys(range(9)) }}",
    "lists": "{{ ([[1]] * 400000) | sum(start=[]) }}",
    "json": "{{ ([[1] * 99] * 9999) | tojson(indent=99) }}",
    "json indent": "{{ [1] | tojson(indent=99999) }}",
    "block": "{% set x %}{% for i in range(99999) %}{{ 'a' * 99999 }}{% endfor %}{% endset %}",
    "output": "{% for i in range(99999) %}{{ 'a' * 99999 }}{% endfor %}",
    "loops": "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}",
    "macros": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}"
    "{{ f(60) }}",
    "searches": "{% set l = range(99999) | list %}"
    "{% for i in range(99999) %}{% if -1 in l %}{% endif %}{% endfor %}",
    "conditions": "{% for a in range(99999) if range(99999) | list == [] %}{% endfor %}",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_template_is_stopped_early_and_takes_little_memory(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_sandbox, "MAX_SECONDS", 0.5)
    tracemalloc.start()
    started = time.thread_time()
    try:
        with pytest.raises(BundleError, match="chat template was stopped"):
            ChatTemplate(HOSTILE[name], {}).render(CHATS[0])
        assert tracemalloc.get_traced_memory()[1] < 200_000_000
    finally:
        tracemalloc.stop()
    assert time.thread_time() - started < 8  # counting memory makes it several times slower


@pytest.mark.parametrize(
    ("source", "message"),
    [("{{ " + "(" * 9999 + "1" + ")" * 9999 + " }}", "nested"), ("x" * 600_000, "600000")],
)
def test_a_source_that_is_too_large_is_refused(source: str, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        ChatTemplate(source, {})


def test_long_chats_stay_within_the_limits() -> None:
    chat = [{"role": "user", "content": "word " * 100}] * 1000
    text = ChatTemplate(CHATML, {}).render(chat)
    assert len(text) > 500_000
