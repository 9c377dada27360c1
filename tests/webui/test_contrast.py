"""Text has a contrast of at least 4.5 to what it is on, as WCAG 2 asks for, in light and dark."""

from __future__ import annotations

import re

import pytest

from nlplug_webui.look_and_feel import STATIC

LEAST = 4.5
PAIRS = [
    *((text, ground) for text in ("ink", "soft") for ground in ("card", "paper", "sunk")),
    *(("accent", ground) for ground in ("card", "paper", "accent-soft")),
    ("bad", "card"),
    ("bad", "bad-soft"),
    ("mild", "card"),
    ("mild", "mild-soft"),
]


def palettes() -> list[dict[str, str]]:
    """The colors of the style sheet: those of light pages, then those of dark ones."""
    text = (STATIC / "style.css").read_text(encoding="utf-8")
    found = re.findall(r"--np-([a-z-]+): (#[0-9a-f]{6});", text)
    half = len(found) // 2
    light, dark = dict(found[:half]), dict(found[half:])
    assert light.keys() == dark.keys()
    return [light, dark]


def luminance(color: str) -> float:
    values = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(("text", "ground"), PAIRS)
@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_stands_out(scheme: int, text: str, ground: str) -> None:
    palette = palettes()[scheme]
    assert contrast(palette[text], palette[ground]) >= LEAST


def test_black_on_white_has_the_largest_contrast() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
