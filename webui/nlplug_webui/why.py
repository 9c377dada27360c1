"""The view "Why": the words of an input with their weights, shaded in the text and in a table.

A word that supports the answer has a solid underline, and one that opposes it a dashed
one. A table has the weights as signed numbers: nothing is told by colour alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from nlplug.explanations.result import Explanation, WordWeight
from nlplug_webui.render import MAX_CHARACTERS, table_html
from nlplug_webui.texts import say

_LEAST_SHADE = 8
_MOST_SHADE = 70


def why_button_html(option: str, language: str) -> str:
    """The button that switches the explanation on and asks again.

    Args:
        option: Id of the option's element.
        language: Language of the text.
    """
    return (
        f'<p class="np-why-ask"><button type="button" class="np-why-button" '
        f'data-option="{escape(option)}">{escape(say("why_ask", language))}</button></p>'
    )


def why_html(explanation: Explanation | None, item: Mapping[str, Any], language: str) -> str:
    """An explanation: what is explained, the text with shaded words, and all words by weight.

    Args:
        explanation: The explanation; None: there was nothing to explain.
        item: The input, by field.
        language: Language of the texts around it.
    """
    if explanation is None:
        return _section(say("why", language), _note(say("why_nothing", language)))
    target = explanation["target"]
    named = " · ".join(str(target[key]) for key in ("text", "label") if key in target)
    words = explanation["words"]
    fields = list(dict.fromkeys(word["field"] for word in words))
    texts = "".join(
        _text_html(str(item.get(field) or ""), [w for w in words if w["field"] == field], words)
        for field in fields
        if isinstance(item.get(field), str)
    )
    ordered = sorted(words, key=lambda word: -abs(word["weight"]))
    rows = [
        {
            "word": word["word"],
            "weight": f"{word['weight']:+.2f}",
            "effect": say(_effect(word), language),
        }
        | ({"field": word["field"]} if len(fields) > 1 else {})
        for word in ordered
    ]
    facts = say(
        f"why_facts_{explanation['unit'].replace('-', '_')}",
        language,
        value=f"{explanation['value']:+.2f}",
        baseline=f"{explanation['baseline']:+.2f}",
        method=explanation["method"],
        passes=f"{explanation['passes']:,}",
    )
    return _section(
        say("why_of", language, target=named),
        _note(say("why_key", language)) + texts + table_html(rows, language) + _note(facts),
    )


def _section(title: str, body: str) -> str:
    return f'<section class="np-why"><h3>{escape(title)}</h3>{body}</section>'


def _note(text: str) -> str:
    return f'<p class="np-note">{escape(text)}</p>'


def _effect(word: WordWeight) -> str:
    return "why_for" if word["weight"] >= 0 else "why_against"


def _text_html(text: str, words: Sequence[WordWeight], every: Sequence[WordWeight]) -> str:
    """The part of a text with weighed words, each shaded by its share of the largest weight."""
    largest = max((abs(word["weight"]) for word in every), default=0.0) or 1.0
    first = at = words[0]["start"] if words[0]["start"] > MAX_CHARACTERS // 10 else 0
    parts = ["… "] if first else []
    for word in words:
        if word["end"] - first > MAX_CHARACTERS:
            break
        parts.append(escape(text[at : word["start"]]))
        share = abs(word["weight"]) / largest
        shade = _LEAST_SHADE + (_MOST_SHADE - _LEAST_SHADE) * share if share > 0.05 else 0
        kind = _effect(word).replace("_", "-") if shade else "why-little"
        parts.append(
            f'<span class="np-word np-{kind}" style="--shade:{shade:.0f}%" '
            f'title="{word["weight"]:+.2f}">{escape(word["word"])}</span>'
        )
        at = word["end"]
    tail = text[at : at + 200]
    parts.append(escape(tail) + ("…" if at + len(tail) < len(text) else ""))
    return f'<p class="np-why-text" dir="auto">{"".join(parts)}</p>'
