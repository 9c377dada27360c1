"""Sends each page only the texts that its components name.

Gradio would write all texts of all pages into each page, once per locale: 1.5 MB.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from nlplug_webui.texts import PREFIX

# Gradio looks up the full tag of a locale before it falls back to English.
_SAME = {"zh-CN": "zh", "zh-TW": "zh", "zh-HK": "zh"}
# A key in the configuration of a page: JSON inside a string of JSON.
_KEY = re.compile(rb'\\"key\\": \\"(' + PREFIX.encode() + rb'.*?)\\"\}')


def texts_script(page: bytes, tables: Mapping[str, Mapping[str, str]]) -> bytes:
    """The element that gives a page its texts; it stands after the configuration of the page.

    Args:
        page: HTML of the page.
        tables: All texts by language and key.
    """
    keys = sorted({_decoded(key) for key in _KEY.findall(page)})
    texts = {
        language: {key: table[key] for key in keys if key in table}
        for language, table in tables.items()
    }
    written = json.dumps(texts).replace("<", "\\u003c")
    same = "".join(f",{json.dumps(locale)}:t.{language}" for locale, language in _SAME.items())
    all_locales = f"{{...t{same}}}"
    script = f"const t={written};window.gradio_config.i18n_translations={all_locales}"
    return f"<script>{{{script}}}</script>".encode()


def _decoded(key: bytes) -> str:
    inner = json.loads(b'"' + key + b'"')
    return str(json.loads(f'"{inner}"'))
