"""Theme, style sheet and script, all from this package."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.themes.utils import colors, sizes

from nlplug.server.plain_page import ICON

_FONTS = (
    "ui-sans-serif",
    "system-ui",
    "-apple-system",
    "Segoe UI",
    "Roboto",
    "Noto Sans",
    "Noto Sans CJK SC",
    "PingFang SC",
    "Microsoft YaHei",
    "sans-serif",
)
_MONO = ("ui-monospace", "SF Mono", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace")

STATIC = Path(__file__).with_name("static")
"""The folder of the style sheets."""
# Gradio draws a page in several steps: it is shown when it is complete, so that nothing moves.
_FIRST_STYLE = (
    ".nav-holder{display:none!important}"
    "gradio-app:not(:has(.np-header):has(.np-foot)) .np-page{visibility:hidden}"
)
_STYLES = (
    *("style.css", "header.css", "work.css", "workshop.css", "tools.css", "products.css"),
    *("inside.css", "print.css"),
)


def head(early: Iterable[str], late: str) -> str:
    """What the head of each page has first: the icon and the scripts.

    It is not given to Gradio, which adds it to a page only after the first events of the page.

    Args:
        early: Addresses of the scripts that run before anything else of the page is read.
        late: Address of the script that runs when it is read.
    """
    loaded = "".join(f'<script src="{address}"></script>' for address in early)
    return (
        f"<style>{_FIRST_STYLE}</style>"
        f'<link rel="icon" href="{ICON}"><meta name="color-scheme" content="light dark">'
        f'{loaded}<script src="{late}" defer></script>'
    )


def theme() -> gr.themes.Base:
    """The theme: neutral colours, one accent colour, system fonts."""
    base = gr.themes.Base(
        primary_hue=colors.teal,
        secondary_hue=colors.teal,
        neutral_hue=colors.gray,
        radius_size=sizes.radius_md,
        text_size=sizes.text_md,
        font=_FONTS,
        font_mono=_MONO,
    )
    return base.set(
        body_background_fill="#f6f6f3",
        body_background_fill_dark="#101418",
        body_text_color="#1d2327",
        body_text_color_dark="#e6eaec",
        body_text_color_subdued="#5b656e",
        body_text_color_subdued_dark="#95a1ab",
        background_fill_primary="#ffffff",
        background_fill_primary_dark="#181e24",
        background_fill_secondary="#f6f6f3",
        background_fill_secondary_dark="#141a1f",
        border_color_primary="#e3e4df",
        border_color_primary_dark="#2a333b",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_shadow="none",
        block_shadow_dark="none",
        block_padding="0",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_title_text_weight="600",
        block_title_text_size="0.9rem",
        block_title_text_color="#1d2327",
        block_title_text_color_dark="#e6eaec",
        block_info_text_size="0.82rem",
        block_info_text_color="#5b656e",
        block_info_text_color_dark="#95a1ab",
        input_background_fill="#fbfbfa",
        input_background_fill_dark="#12171c",
        input_border_width="1px",
        input_border_color="#dcded9",
        input_border_color_dark="#2f3943",
        input_border_color_focus="#0d766c",
        input_border_color_focus_dark="#4cc2b3",
        input_shadow_focus="0 0 0 3px rgb(13 118 108 / 14%)",
        input_shadow_focus_dark="0 0 0 3px rgb(76 194 179 / 20%)",
        button_primary_background_fill="#0d766c",
        button_primary_background_fill_dark="#14796e",
        button_primary_background_fill_hover="#0a625a",
        button_primary_background_fill_hover_dark="#106a60",
        button_primary_text_color="#ffffff",
        button_primary_border_color="transparent",
        button_secondary_background_fill="transparent",
        button_secondary_background_fill_dark="transparent",
        button_secondary_background_fill_hover="#eeeeea",
        button_secondary_background_fill_hover_dark="#222a31",
        button_secondary_border_color="#dcded9",
        button_secondary_border_color_dark="#35404a",
        button_large_padding="9px 20px",
        button_large_text_size="0.95rem",
        button_large_text_weight="600",
        color_accent="#0d766c",
        slider_color="#0d766c",
        slider_color_dark="#4cc2b3",
        checkbox_background_color_selected="#0d766c",
        checkbox_background_color_selected_dark="#17877b",
        checkbox_border_color_selected="#0d766c",
        checkbox_border_color_selected_dark="#17877b",
        layout_gap="18px",
        form_gap_width="0px",
    )


def settings() -> dict[str, Any]:
    """The arguments of ``gr.mount_gradio_app`` for theme and styles."""
    return {
        "theme": theme(),
        "css_paths": [STATIC / name for name in _STYLES],
    }
