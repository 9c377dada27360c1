"""Other ways to write a pair, and pairs in which something is only copied.

Each variant takes a pair and gives a new one, or None where it does not fit the pair.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator

Pair = tuple[str, str]
"""A source and its target: English and another language, or the other way round."""

Variant = Callable[[Pair, random.Random], Pair | None]

# Chinese characters stand next to names and numbers without a space.
_L = r"0-9A-Za-z_\u00c0-\u024f"
_NAME = re.compile(rf"(?<![{_L}'’-])[A-Z][a-z]{{2,}}(?![{_L}'’-])")
_NUMBER = re.compile(rf"(?<![{_L}.,:/-])\d+(?:[.:]\d+)?(?![{_L}.,:/-]*\d)")
_WORD = re.compile(rf"(?<![{_L}'’<>{{}}%&/.-])[A-Za-z\u00c0-\u024f]{{3,}}(?![{_L}'’<>{{}}%&/.-])")
_STOPS = ".!?…"
_FULL = "。！？"
_FIXED = re.compile(r"[<>{}%$@\\]|://|__")
_STARTS = (*"BCDFGJKLMNPRSTV", "Br", "Gr", "St")
_VOWELS = ("a", "e", "i", "o", "u", "ai", "au", "ei", "ou")
_MIDDLES = ("b", "d", "l", "ll", "m", "n", "nd", "r", "rs", "s", "ss", "t", "v", "ck", "lm", "nn")
_ENDS = ("", "", "n", "r", "s", "son", "berg", "man", "ley", "ton", "ski", "ez", "wood", "ier")
_WORDS = re.findall(
    "[a-z]+",
    """
    account address amount button city client code color count country date day email error
    file first folder group host id image index item key label last link list mail message mode
    model month name number order page path phone price project query role size status table
    team text time title total type url user value version year
    """,
)
_DOMAINS = ("com", "org", "net", "eu", "fr", "io", "co.uk", "dev")
_FILES = ("txt", "pdf", "docx", "xlsx", "png", "zip", "py", "json", "csv", "html", "md", "log")
_EMOJI = "😀😂😊😍👍🙏🎉🔥✅❌⚠❤🚀📧📅📎💡🐛🎂☕🌍🇫🇷⭐"
_UNITS = ("kg", "km", "cm", "mm", "ml", "GB", "MB", "kB", "kWh", "V", "Hz", "MHz", "°C", "%", "px")


def number(chance: random.Random) -> str:
    """Any number, small ones most often."""
    return str(chance.randrange(2, 10 ** chance.choice((1, 2, 2, 2, 3, 4, 4, 5)) + 10))


def clock(chance: random.Random) -> str:
    return f"{chance.randrange(24)}:{chance.randrange(60):02d}"


def name(chance: random.Random) -> str:
    """A made-up name of a person or place; it begins with a consonant, so no article changes."""
    middle = "".join(
        chance.choice(_VOWELS) + chance.choice(_MIDDLES) for _ in range(chance.choice((0, 1, 1, 2)))
    )
    start: str = chance.choice(_STARTS)
    return start + middle + chance.choice(_VOWELS) + chance.choice(_ENDS)


def full_name(chance: random.Random) -> str:
    return f"{name(chance)} {name(chance)}"


def code(chance: random.Random) -> str:
    """A reference, model, version or room: letters and digits that mean nothing."""
    letters = "".join(chance.choices("ABCDEFGHJKLMNPQRSTUVWXYZ", k=chance.choice((1, 1, 2, 2, 3))))
    digits = number(chance)
    form = chance.randrange(8)
    if form == 0:
        return f"v{chance.randrange(12)}.{chance.randrange(30)}.{chance.randrange(10)}"
    if form == 1:
        return f"{chance.randrange(30)}.{chance.randrange(30)}"
    if form == 2:
        return f"#{digits}"
    if form == 3:
        return f"{letters.lower()}{digits}"
    return letters + chance.choice(("-", "-", "", "", "_", "/")) + digits


def acronym(chance: random.Random) -> str:
    return "".join(chance.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=chance.randrange(2, 6)))


def mail(chance: random.Random) -> str:
    who = chance.choice((name(chance).lower(), f"{name(chance)}.{name(chance)}".lower(), "info"))
    return f"{who}@{name(chance).lower()}.{chance.choice(_DOMAINS)}"


def address(chance: random.Random) -> str:
    host = f"{chance.choice(('www.', '', ''))}{name(chance).lower()}.{chance.choice(_DOMAINS)}"
    page = chance.choice(_WORDS)
    path = chance.choice(("", "", f"/{page}", f"/{page}/{number(chance)}"))
    return f"{chance.choice(('https://', 'https://', 'http://', ''))}{host}{path}"


def file(chance: random.Random) -> str:
    made = f"{chance.choice(_WORDS)}{chance.choice(('', '_', '-'))}{chance.choice(_WORDS)}"
    folder = chance.choice(("", "", "", "/etc/", "~/", "C:\\", "src/"))
    return f"{folder}{made}.{chance.choice(_FILES)}"


def placeholder(chance: random.Random) -> str:
    """What a program fills in or sees as a command."""
    word = chance.choice(_WORDS)
    forms = (
        "{" + word + "}", "{{" + word + "}}", "{0}", "{1}", "%s", "%d", "%1$s", f"%({word})s",
        "${" + word + "}", f"${word}", f":{word}", f"@{word}", f"%{word}%", f"[{word}]",
        f"__{word.upper()}__", f"`{word}`", f"--{word}", f"<{word}>",
        f"{word}_{chance.choice(_WORDS)}", "{" + word + ", number}", "\\n", "%@", f"[[{word}]]",
    )  # fmt: skip
    return chance.choice(forms)


def measure(chance: random.Random) -> str:
    return f"{number(chance)} {chance.choice(_UNITS)}"


def emoji(chance: random.Random) -> str:
    return "".join(chance.choices(_EMOJI, k=chance.choice((1, 1, 1, 2, 3))))


THINGS = (code, code, mail, address, file, placeholder, placeholder, acronym, full_name)


def thing(chance: random.Random) -> str:
    """Something that stays as it is in any language."""
    return chance.choice(THINGS)(chance)


def stand_in(chance: random.Random) -> str:
    """What stands in a slot of a phrase: mostly a number, as placeholders are hidden by them."""
    kind = chance.random()
    if kind < 0.5:
        return number(chance)
    return name(chance) if kind < 0.75 else thing(chance)


def shared(pair: Pair, form: re.Pattern[str]) -> list[str]:
    """Words of a form that both sides have, each just once."""
    english, other = ({match[0] for match in form.finditer(text)} for text in pair)
    return sorted(word for word in english & other if all(text.count(word) == 1 for text in pair))


def replaced(pair: Pair, word: str, new: str) -> Pair:
    english, other = (text.replace(word, new, 1) for text in pair)
    return english, other


def marked(pair: Pair, chance: random.Random) -> Pair | None:
    """Numbers for the names and numbers that both sides have.

    What may not change is shown to the model as numbers: here it sees them where names stand.
    """
    words = shared(pair, _NAME) + shared(pair, _NUMBER)
    for word in words:
        pair = replaced(pair, word, clock(chance) if ":" in word else number(chance))
    return pair if words else None


def renamed(pair: Pair, chance: random.Random) -> Pair | None:
    """Other names for those that both sides have."""
    words = [word for word in shared(pair, _NAME) if word[0] not in "AEIOUHY"]
    for word in words:
        pair = replaced(pair, word, name(chance))
    return pair if words else None


def held(pair: Pair, chance: random.Random) -> Pair | None:
    """A code, address or placeholder for a name or number that both sides have."""
    words = shared(pair, _NAME) + shared(pair, _NUMBER)
    return replaced(pair, chance.choice(words), thing(chance)) if words else None


def tagged(pair: Pair, chance: random.Random) -> Pair | None:
    """A word that both sides have, between tags."""
    words = [word for word in shared(pair, _WORD) if not _FIXED.search("".join(pair))]
    if not words:
        return None
    word = chance.choice(words)
    tag = chance.choice(("b", "b", "i", "em", "strong", "a", "code", "span"))
    begin = f'<a href="{address(chance)}">' if tag == "a" else f"<{tag}>"
    return replaced(pair, word, f"{begin}{word}</{tag}>")


def upper(pair: Pair, chance: random.Random) -> Pair | None:
    """All in capitals."""
    if _FIXED.search("".join(pair)):
        return None
    return pair[0].upper(), pair[1].upper()


def lower(pair: Pair, chance: random.Random) -> Pair | None:
    """Without capitals and full stop, as in a chat; the target keeps the capitals of names."""
    source, target = pair
    if _FIXED.search("".join(pair)) or not source[:1].isupper() or source[-1:] not in ".!?":
        return None
    first = target.split(" ", 1)[0]
    if first not in source and target[1:2].islower():
        target = target[0].lower() + target[1:]
    if source[-1] == "." and target[-1:] in (".", "。"):
        source, target = source[:-1], target[:-1]
    return source.lower(), target


def title(pair: Pair, chance: random.Random) -> Pair | None:
    """A heading: each word of the source begins with a capital, as is usual in English only."""
    words = pair[0].split(" ")
    if not 2 <= len(words) <= 8 or pair[0][-1:] in ".!?:" or _FIXED.search("".join(pair)):
        return None
    return " ".join(word[:1].upper() + word[1:] for word in words), pair[1]


def bare(pair: Pair, chance: random.Random) -> Pair | None:
    """Without the mark at the end: none in, none out."""
    if any(text[-1:] not in (".", "。") or text.endswith("..") for text in pair):
        return None
    english, other = (text[:-1].rstrip() for text in pair)
    return english, other


def curly(pair: Pair, chance: random.Random) -> Pair | None:
    """With the apostrophes of a word processor in the source."""
    return (pair[0].replace("'", "’"), pair[1]) if "'" in pair[0] else None


def joined(first: Pair, second: Pair) -> Pair | None:
    """Two sentences one after the other; in Chinese without a space between them."""
    if any(pair[0][-1:] not in _STOPS or not pair[0] for pair in (first, second)):
        return None
    if any(pair[1][-1:] not in _STOPS + _FULL or not pair[1] for pair in (first, second)):
        return None
    space = "" if first[1][-1] in _FULL else " "
    return f"{first[0]} {second[0]}", f"{first[1]}{space}{second[1]}"


VARIANTS: tuple[tuple[Variant, float], ...] = (
    (marked, 0.35),
    (renamed, 0.2),
    (held, 0.15),
    (tagged, 0.08),
    (upper, 0.025),
    (lower, 0.05),
    (title, 0.06),
    (bare, 0.07),
    (curly, 0.1),
)
"""Each with the share of the pairs that fit it which come once more this way."""


def varied(pair: Pair, chance: random.Random) -> Iterator[Pair]:
    """The further forms of a pair in training."""
    for variant, share in VARIANTS:
        if chance.random() < share and (made := variant(pair, chance)):
            yield made


def copies(count: int, chance: random.Random, foreign: list[str]) -> Iterator[Pair]:
    """Things by themselves, and texts of other languages, which stay as they are.

    Args:
        count: How many.
        chance: Where chance comes from.
        foreign: Texts of other languages.
    """
    kinds = (*THINGS, number, clock, measure, emoji)
    for _ in range(count):
        if foreign and chance.random() < 0.1:
            text = chance.choice(foreign)
            start = chance.randrange(max(1, len(text) - 6))
            made = text[start : start + chance.randrange(1, 9)].strip() or text[:4]
        else:
            made = " ".join(
                chance.choice(kinds)(chance) for _ in range(chance.choice((1, 1, 1, 2, 3)))
            )
        yield made, made
