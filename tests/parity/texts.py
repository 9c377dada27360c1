"""Texts for the comparison: English and Chinese, accents, emoji, odd spaces, short and long."""

from __future__ import annotations

import random

_PEOPLE = (
    "Ada Lovelace", "Zoë O'Neill", "José García", "Li Wei", "王小明", "Jean-Luc Picard",
    "McDonald", "Dr. Anne Müller", "Søren Kierkegaard", "van der Berg",
)  # fmt: skip
_PLACES = (
    "Paris", "New York", "São Paulo", "Reykjavík", "Stratford-upon-Avon", "北京", "上海市",
    "the Rhône", "Los Angeles", "Kraków",
)  # fmt: skip
_GROUPS = (
    "Acme Ltd.", "the U.N.", "AT&T", "Hewlett-Packard", "Crédit Agricole", "清华大学", "NASA",
    "FC Bayern", "Micro-soft", "the Red Cross",
)  # fmt: skip
_ENGLISH = (
    "{person} moved from {place} to {other} in 1998 and joined {group}.",
    "Last week {group} opened an office in {place}, which {person} called “a small step”.",
    "Why did {person} leave {group}? Nobody in {place} could say.",
    "It cost $1,234.50 (about €1,100), said {person} of {group}.",
    "{place}: rain, 12°C; {other}: sunny, 25.5°C 🌞.",
    "I really loved the film that {person} made in {place} 😀👍🏽!",
    "The naïve café owner's façade in {place} didn't impress {person}.",
    "don't forget: {person}'s e-mail is ada.lovelace@example.org, not {group}'s",
    "Unbelievably, antidisestablishmentarianism was the word that {person} misspelled.",
    "{group} and {person} signed it; {other} did not.",
)
_CHINESE = (
    "{person}于1998年从{place}搬到{other},加入了{group}。",
    "我喜欢猫,狗是可爱的动物。",
    "上周,{group}在{place}开设了办事处,{person}说这是“一小步”。",
    "为什么{person}离开了{group}?{place}没有人知道😀。",
    "这部电影真好看!我和{person}在{place}看了两遍。",
)
_ODD = (
    "  two  spaces   and\ta tab in {place}\n\nand {person} on a new line ",
    "e\u0301te\u0301 combining marks by {person}, ﬁne ligatures, ½ and ＡＢＣ full width",
    "مرحبا {person} من {place} שלום",
    "👩‍👩‍👧‍👦🏳️‍🌈 {person} 🇫🇷{place}🇨🇳",
    "...—!?{person}###{group}@@",
    "{person}",
    "A",
    "x\u200by zero\u00a0width and hard\u00a0space {place}",
)


def sentences(count: int, seed: int = 0) -> list[str]:
    """Sentences, half of them English, the others Chinese or odd ones."""
    source = random.Random(seed)
    return [_fill(source) for _ in range(count)]


def documents(count: int, length: int, seed: int = 1) -> list[str]:
    """Texts of some sentences each, from half of ``length`` characters to the whole."""
    source = random.Random(seed)
    found = []
    for _ in range(count):
        wanted = source.randint(length // 2, length)
        parts: list[str] = []
        while sum(map(len, parts)) < wanted:
            parts.append(_fill(source))
        found.append(source.choice((" ", " ", "\n")).join(parts))
    return found


def questions(count: int, length: int, seed: int = 2) -> list[dict[str, str]]:
    """Questions with a context each of up to ``length`` characters."""
    source = random.Random(seed)
    asked = (
        "Who moved to {place}?",
        "Where is {group}?",
        "What did {person} say?",
        "谁离开了{group}?",
        "{person}在哪里?",
        "When?",
    )
    contexts = documents(count, length, seed)
    return [{"question": _fill(source, asked), "context": context} for context in contexts]


def _fill(source: random.Random, templates: tuple[str, ...] = ()) -> str:
    chosen = templates or source.choices((_ENGLISH, _CHINESE, _ODD), (5, 3, 2))[0]
    return source.choice(chosen).format(
        person=source.choice(_PEOPLE),
        place=source.choice(_PLACES),
        other=source.choice(_PLACES),
        group=source.choice(_GROUPS),
    )
