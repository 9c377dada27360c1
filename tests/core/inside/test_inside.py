"""What `Pipeline.inside` returns and refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from nlplug import Pipeline, pipeline
from nlplug.cli.main import main
from nlplug.errors import BundleError, InputError, OptionError
from nlplug.inside.result import AttentionMap


@pytest.fixture(scope="module")
def pipe() -> Iterator[Pipeline]:
    with pipeline("sentiment") as made:
        yield made


def test_the_maps_belong_to_the_tokens_of_the_window(pipe: Pipeline) -> None:
    long = "We saw a film. " * 200
    first = pipe.inside("We loved it", top=2)
    assert [token.text for token in first.tokens] == ["[CLS]", "we", "loved", "it", "[SEP]"]
    assert first.attention[0].weights.shape == (6, 12, 5, 5)
    assert [(one.text, len(one.neighbors)) for one in first.neighbors] == [
        (word, 2) for word in ("we", "loved", "it")
    ]
    assert first.neighbors[1].neighbors[0].text in ("loves", "love")
    assert first.probabilities == ()
    second = pipe.inside(long, window=2, parts="neighbors")
    assert (second.window, second.windows > 2, second.attention) == (2, True, ())


def test_the_mean_of_all_heads_is_the_default(pipe: Pipeline) -> None:
    (found,) = pipe.inside("We loved it", parts=["attention"]).attention
    np.testing.assert_allclose(found.of(), found.weights.mean(axis=(0, 1)), atol=1e-6)
    np.testing.assert_array_equal(found.of(layer=2, head=3), found.weights[1, 2])
    with pytest.raises(OptionError, match="layer is 7"):
        found.of(layer=7)
    pruned = AttentionMap("self", (), (), [found.layers[0], found.layers[1][:2]])
    assert pruned.of().shape == (5, 5)
    with pytest.raises(BundleError, match="12, 2 heads"):
        _ = pruned.weights


def test_json_holds_what_was_found(pipe: Pipeline) -> None:
    found = pipe.inside("We loved it")
    read = json.loads(json.dumps(found.to_dict(layer=2)))
    assert read["attention"][0]["first_layer"] == 2
    kept = np.array(read["attention"][0]["layers"])
    np.testing.assert_allclose(kept, found.attention[0].weights[1:2], atol=1e-6)
    assert read["neighbors"][0]["text"] == "we"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"parts": "heat"}, OptionError, "parts is 'heat'"),
        ({"parts": []}, OptionError, r"parts is \[\]"),
        ({"parts": "probabilities"}, OptionError, "This task has no probabilities"),
        ({"top": 0}, OptionError, "top is 0"),
        ({"window": 2}, OptionError, "window is 2, but the model reads this text in 1"),
        ({"tok_p": 2}, OptionError, "tok_p"),
    ],
)
def test_a_bad_argument_is_named(
    pipe: Pipeline, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        pipe.inside("We loved it", **arguments)


def test_a_blank_text_is_refused(pipe: Pipeline) -> None:
    with pytest.raises(InputError):
        pipe.inside(" ")


def test_the_command_prints_what_was_found() -> None:
    def answer(*words: str) -> Result:
        return CliRunner().invoke(main, ["inside", *words])

    printed = answer("translation", "The cat sleeps.", "--layer", "3", "--top", "2").output
    assert "Attention (encoder): layer 3, mean of all heads" in printed
    assert "Attention (cross)" not in printed  # the decoder has two layers
    assert '"chat"' in printed and '"cat"' in printed
    read = json.loads(answer("ner", "Ann met Bob", "--part", "neighbors", "--json").output)
    assert [one["text"] for one in read["neighbors"]] == ["ann", "met", "bob"]
    refused = answer("sentiment", "We loved it", "--head", "13")
    assert (refused.exit_code, "head is 13" in refused.output) == (2, True)


def test_translation_has_three_maps_and_probabilities() -> None:
    with pipeline("translation") as pipe:
        found = pipe.inside("The cat is black. The dog is white.", window=2, top=3)
    assert found.windows == 2
    maps = {one.name: one for one in found.attention}
    assert [*maps] == ["encoder", "decoder", "cross"]
    words = [one.text for one in found.probabilities]
    assert "chien" in words and words[-1] == "</s>"
    assert [one.text for one in maps["decoder"].queries[1:]] == words[:-1]
    for token in found.probabilities:
        shares = [one.probability for one in token.alternatives]
        assert shares == sorted(shares, reverse=True) and len(shares) == 3
        assert token.probability <= shares[0]
