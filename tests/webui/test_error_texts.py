"""Errors on the pages in Chinese: the commonest messages whole, of all others the kind."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import nlplug.errors
from nlplug import pipeline
from nlplug.errors import BundleCorrupt, NlplugError, OfflineError
from nlplug_webui.error_texts import KINDS, error_text
from nlplug_webui.messages import error_html


def raised(call: Callable[[], object]) -> NlplugError:
    with pytest.raises(NlplugError) as caught:
        call()
    return caught.value


@pytest.mark.parametrize(
    ("task", "item", "options", "meaning", "advice"),
    [
        ("sentiment", " ", {}, "文本为空", "请输入文字"),
        ("sentiment", "x", {"top_k": 0}, "top_k 的值是 0", "不小于 1"),
        ("sentiment", "x", {"min_score": 3}, "min_score 的值是 3", "不大于 1"),
        ("generation", "a " * 9000, {}, "文本过长：共 9", "截断"),
        ("fill-mask", "x", {}, "没有自带的模型", "Hub 模型名"),
    ],
)
def test_the_commonest_messages_are_translated(
    task: str, item: str, options: dict[str, object], meaning: str, advice: str
) -> None:
    def ask() -> None:
        with pipeline(task) as pipe:
            pipe(item, **options)

    error = raised(ask)
    found = error_text(error, "zh")
    assert meaning in found.message and advice in (found.hint or "")
    assert found.original is None
    assert error_text(error, "en").message == error.message


def test_of_other_errors_the_kind_is_translated_and_the_message_follows() -> None:
    error = OfflineError("acme/one is not on disk.", hint="Pull it.")
    card = error_html(error, "zh")
    assert "网络访问已关闭" in card
    assert '<p class="np-original" lang="en">acme/one is not on disk. Pull it.</p>' in card
    assert "已损坏" in (error_text(BundleCorrupt("x"), "zh").message)
    assert "np-original" not in error_html(error, "en")


def test_every_kind_of_error_has_a_text() -> None:
    kinds = [one for one in vars(nlplug.errors).values() if isinstance(one, type)]
    types = {one.error_type for one in kinds if issubclass(one, NlplugError)}
    assert types - {NlplugError.error_type} == set(KINDS)
