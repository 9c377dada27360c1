"""Greedy decoding gives PyTorch's tokens, whatever stands beside a prompt in its batch."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from decoding_kit import CONTEXT, END, MODELS, VOCABULARY, Pair, prompts, reference

from nlplug.errors import BundleError, InputError, OptionError
from nlplug.runtime.decoding.generate import generate, stream
from nlplug.runtime.decoding.open import open_decoder
from nlplug.runtime.decoding.options import DecodingOptions
from nlplug.runtime.decoding.scoring import token_logits
from nlplug.testing import tiny_text_generator

pytestmark = pytest.mark.train
GREEDY = DecodingOptions(max_new_tokens=24, eos=(END,))
PairOf = Callable[[str], Pair]


@pytest.mark.parametrize("name", MODELS)
def test_a_batch_of_unequal_prompts_gives_the_tokens_of_transformers(
    pair: PairOf, name: str
) -> None:
    texts = prompts(120)
    expected = reference(pair(name).model, texts)
    made = generate(pair(name).session, texts, GREEDY)
    assert [[text.tokens for text in row] for row in made] == expected
    assert {text.finish for row in made for text in row} <= {"eos", "length"}


def test_a_prompt_alone_and_in_a_batch_gives_the_same(pair: PairOf) -> None:
    session = pair("gpt2").session
    texts = prompts(8, seed=1)
    together = generate(session, texts, GREEDY)
    assert [generate(session, [text], GREEDY)[0] for text in texts] == together


def test_the_cache_grows_with_what_is_generated_up_to_the_context(pair: PairOf) -> None:
    session, texts = pair("gpt2").session, prompts(3, seed=2)
    decoding = session.start(texts)
    assert decoding.cache.capacity == 32
    sizes = set()
    while decoding.room:
        decoding.step(decoding.next_tokens)
        sizes.add(decoding.cache.capacity)
    assert sizes == {32, 64, 96, 128}
    assert decoding.cache.nbytes == 2 * 2 * 3 * 32 * CONTEXT * 4


def test_tokens_stay_right_while_the_cache_grows(pair: PairOf) -> None:
    texts = prompts(6, seed=3)
    settings = {"max_new_tokens": 100, "min_new_tokens": 100}
    expected = reference(pair("llama").model, texts, **settings)
    made = generate(pair("llama").session, texts, DecodingOptions(eos=(END,), **settings))
    assert [[text.tokens for text in row] for row in made] == expected


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_logits_stay_those_of_pytorch_while_the_cache_grows(pair: PairOf, name: str) -> None:
    import torch

    model, session = pair(name).model, pair(name).session
    ids = np.random.default_rng(4).integers(1, VOCABULARY, (2, CONTEXT))
    with torch.no_grad():
        expected = model(torch.from_numpy(ids)).logits.numpy()
    decoding = session.start([ids[0, :5].tolist(), ids[1, :3].tolist()])
    for _ in range(CONTEXT - 6):
        last = decoding.lengths - 1
        np.testing.assert_allclose(decoding.logits, expected[[0, 1], last], atol=2e-4)
        decoding.step(ids[[0, 1], last + 1])


def test_a_text_ends_where_the_context_is_full(pair: PairOf) -> None:
    session = pair("gpt2").session
    long, short = prompts(1, seed=4)[0] * CONTEXT, [5]
    made = generate(
        session, [long[: CONTEXT - 3], long[:CONTEXT], short], DecodingOptions(max_new_tokens=8)
    )
    # The last token needs no position: nothing comes after it.
    assert [len(row[0].tokens) for row in made] == [4, 1, 8]
    assert [row[0].finish for row in made] == ["length"] * 3


def test_a_text_ends_with_a_sequence_of_tokens(pair: PairOf) -> None:
    session, text = pair("llama").session, prompts(1, seed=5)
    free = generate(session, text, DecodingOptions(max_new_tokens=10))[0][0].tokens
    stop = (free[3], free[4])
    made = generate(session, text, DecodingOptions(max_new_tokens=10, stop_sequences=(stop,)))
    assert made[0][0].tokens == free[:5]
    assert made[0][0].finish == "stop"


def test_texts_of_a_batch_end_one_by_one_where_a_function_says_so(pair: PairOf) -> None:
    session, texts = pair("llama").session, prompts(4, seed=5)
    free = generate(session, texts, DecodingOptions(max_new_tokens=10))
    seen: dict[int, list[int]] = {}

    def after(number: int, token: int) -> bool:
        seen.setdefault(number, []).append(token)
        return len(seen[number]) == number + 2

    made = generate(session, texts, DecodingOptions(max_new_tokens=10, stop_when=after))
    for number, (row, whole) in enumerate(zip(made, free, strict=True)):
        assert row[0].tokens == seen[number] == whole[0].tokens[: number + 2]
        assert row[0].finish == "stop"


def test_log_probabilities_are_those_of_the_model(pair: PairOf) -> None:
    import torch

    model, session = pair("qwen2").model, pair("qwen2").session
    text = prompts(1, seed=6)[0]
    options = DecodingOptions(max_new_tokens=6, logprobs=True)
    made = generate(session, [text], options)[0][0]
    with torch.no_grad():
        logits = model(torch.tensor([text + made.tokens])).logits[0].log_softmax(-1)
    expected = [
        logits[len(text) - 1 + place, token].item() for place, token in enumerate(made.tokens)
    ]
    assert made.logprobs == pytest.approx(expected, abs=1e-4)


def test_tokens_are_streamed_step_by_step_and_a_stream_can_be_left(pair: PairOf) -> None:
    session, texts = pair("gpt2").session, prompts(3, seed=7)
    whole = generate(session, texts, GREEDY)
    tokens = stream(session, texts, GREEDY)
    first = [next(tokens) for _ in texts]
    assert [(token.prompt, token.token) for token in first] == [
        (number, row[0].tokens[0]) for number, row in enumerate(whole)
    ]
    tokens.close()


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "no prompt"),
        ([[3], []], "no tokens"),
        ([[1] * (CONTEXT + 1)], f"{CONTEXT + 1} tokens"),
        ([[VOCABULARY]], f"token {VOCABULARY}"),
        ([[4, -1]], "token -1"),
    ],
)
def test_a_prompt_that_the_model_cannot_take_is_refused(
    pair: PairOf, texts: list[list[int]], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        generate(pair("gpt2").session, texts, GREEDY)


def test_a_step_past_the_context_is_refused(pair: PairOf) -> None:
    decoding = pair("gpt2").session.start([[1] * CONTEXT])
    with pytest.raises(InputError, match="context of 128"):
        decoding.step(np.array([1]))


def test_a_file_that_is_no_decoder_is_refused(tmp_path: Path) -> None:
    from onnx import TensorProto, helper, save

    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    node = helper.make_node("Identity", ["x"], ["y"])
    model = helper.make_model(
        helper.make_graph([node], "other", [value], [out]),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
    )
    path = tmp_path / "other.onnx"
    save(model, str(path))
    with pytest.raises(BundleError, match="cannot fill: x.*lack the entry 'nlplug.decoder'"):
        open_decoder(path, threads=1)
    path.write_bytes(b"nonsense")
    with pytest.raises(BundleError, match="cannot load"):
        open_decoder(path, threads=1)
    for wrong in (0, "2", 1.5):
        with pytest.raises(OptionError, match=f"threads is {wrong!r}"):
            open_decoder(path, threads=wrong)


def _with_metadata(source: Path, target: Path, key: str, value: str | None) -> Path:
    import onnx

    graph = onnx.load(str(source))
    kept = {item.key: item.value for item in graph.metadata_props if item.key != key}
    onnx.helper.set_model_props(graph, kept if value is None else {**kept, key: value})
    onnx.save(graph, str(target))
    return target


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (None, "logits_at.*lack the entry 'nlplug.decoder'"),
        ("nonsense", "'nlplug.decoder' of .*changed.onnx is not JSON"),
        ("[]", "'nlplug.decoder' of .*changed.onnx is not a JSON object"),
        ({"kv_heads": None}, "'nlplug.decoder' of .*changed.onnx lacks the key 'kv_heads'"),
        ({"context": "128"}, "has 'context' with the value '128'; it must be int"),
        ({"positions": 1}, "has 'positions' with the value 1; it must be bool"),
        ({"positions": False}, "has 'positions' with the value False; the graph has True"),
        ({"context": -5}, "has 'context' with the value -5; it must be 1 or more"),
        ({"one_thread": -1}, "has 'one_thread' with the value -1; it must be 0 or more"),
        ({"layers": 9}, "has 'layers' with the value 9; the graph has \\d"),
        ({"kv_heads": 7}, "has 'kv_heads' with the value 7; the graph has \\d"),
        ({"head_size": 99}, "has 'head_size' with the value 99; the graph has \\d"),
        ({"vocabulary": 9**9}, "has 'vocabulary' with the value 387420489; the graph has"),
    ],
    ids=str,
)
def test_a_graph_whose_metadata_are_incomplete_is_refused(
    pair: PairOf, tmp_path: Path, change: Any, message: str
) -> None:
    path = pair("gpt2").session.sessions.path
    if isinstance(change, dict):
        values = {**json.loads(pair("gpt2").session.spec.to_json()), **change}
        change = json.dumps({name: value for name, value in values.items() if value is not None})
    changed = _with_metadata(path, tmp_path / "changed.onnx", "nlplug.decoder", change)
    with pytest.raises(BundleError, match=message):
        open_decoder(changed, threads=1)


def test_metadata_of_later_versions_are_read(pair: PairOf, tmp_path: Path) -> None:
    session = pair("gpt2").session
    later = json.dumps({**json.loads(session.spec.to_json()), "later": [1]})
    path = _with_metadata(session.sessions.path, tmp_path / "later.onnx", "nlplug.decoder", later)
    assert open_decoder(path, threads=1).spec == session.spec


@pytest.mark.parametrize(
    "settings",
    [{}, {"do_sample": True, "seed": 1}, {"num_beams": 3}],
    ids=["greedy", "drawn", "beams"],
)
def test_a_cancelled_decoding_ends_before_its_next_step(
    pair: PairOf, settings: dict[str, Any]
) -> None:
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 4

    long = {"max_new_tokens": 60, "min_new_tokens": 60, "eos": (END,)}
    with pytest.raises(CancelledError):
        generate(
            pair("gpt2").session,
            prompts(3, seed=9),
            DecodingOptions(cancelled=cancelled, **long, **settings),
        )
    assert len(asked) == 5


WAYS = [
    DecodingOptions(max_new_tokens=3),
    DecodingOptions(max_new_tokens=3, num_beams=3),
    DecodingOptions(max_new_tokens=3, do_sample=True, seed=1),
]


def _broken(form: str, value: float, folder: Path, whole: Path) -> Path:
    """A graph of which one logit has this value, after the token 2."""
    if form == "plain":
        tiny_text_generator(folder, {"a": {"b": value}})
        return folder / "onnx" / "model.onnx"
    import onnx

    graph = onnx.load(str(whole))
    tensor = next(one for one in graph.graph.initializer if one.dims[:1] == [VOCABULARY])
    values = onnx.numpy_helper.to_array(tensor).copy()
    values[5] = value
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    onnx.save(graph, str(folder / "broken.onnx"))
    return folder / "broken.onnx"


@pytest.mark.parametrize("form", ["fast", "plain"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_logits_that_are_no_numbers_are_refused_with_the_name_of_the_graph(
    pair: PairOf, tmp_path: Path, form: str, value: float
) -> None:
    path = _broken(form, value, tmp_path, pair("gpt2").session.path)
    decoder = open_decoder(path, threads=1)
    for options in WAYS:
        with pytest.raises(BundleError, match=f"The graph {path} gives logits that are NaN"):
            generate(decoder, [[2]], options)
    with pytest.raises(BundleError, match="NaN or infinite"):
        list(token_logits(decoder, [[2]], [[3, 4]]))


def test_a_model_may_exclude_a_token_by_minus_infinity(tmp_path: Path) -> None:
    tiny_text_generator(tmp_path, {"a": {"b": -np.inf, "c": 4.0}})
    decoder = open_decoder(tmp_path / "onnx" / "model.onnx", threads=1)
    for options in WAYS[:2]:
        assert generate(decoder, [[2]], options)[0][0].tokens[0] == 4
