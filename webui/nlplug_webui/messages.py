"""Errors as HTML: what happened and what to do, without a traceback."""

from __future__ import annotations

import logging
from html import escape
from pathlib import Path

from nlplug.errors import (
    BundleError,
    DataError,
    InputError,
    ModelNotFound,
    NlplugError,
    OfflineError,
    OptionError,
)
from nlplug.plugins import failed_plugin
from nlplug.text.foreign import ForeignTexts
from nlplug_webui.error_texts import ErrorText, error_text
from nlplug_webui.file_errors import about_upload
from nlplug_webui.texts import say

_log = logging.getLogger(__name__)

_TITLES: tuple[tuple[type[NlplugError], str], ...] = (
    (DataError, "error_data"),
    (OptionError, "error_option"),
    (InputError, "error_input"),
    (OfflineError, "error_offline"),
    (ModelNotFound, "error_model"),
    (BundleError, "error_model"),
)


def error_html(error: BaseException, language: str, *, file: Path | None = None) -> str:
    """An error as a card.

    Args:
        error: The error. One of another class than `NlplugError` is a bug; it is logged, and
            the plugin is named.
        language: Language of the card.
        file: The uploaded file that it is about; see `about_upload`.
    """
    if isinstance(error, NlplugError):
        key = next((k for kind, k in _TITLES if isinstance(error, kind)), "error_other")
        found = error_text(error if file is None else about_upload(error, file), language)
    else:
        _log.error("a task failed", exc_info=error)
        key = "error_other"
        message = f"{type(error).__name__}: {error}"
        if file is not None:
            message = message.replace(str(file), file.name)
        found = ErrorText(message, _bug(error, language))
    friendly = " np-error-mild" if isinstance(error, InputError) else ""
    return card_html(
        say(key, language),
        found.message,
        found.hint,
        language,
        style=f"np-error{friendly}",
        original=found.original,
    )


def shown_error(error: Exception) -> dict[str, str | None]:
    """An error as JSON for a script; one that is a bug is logged."""
    if isinstance(error, NlplugError):
        return {"error": error.message, "hint": error.hint, "error_type": error.error_type}
    _log.error("a task failed", exc_info=error)
    return {"error": f"{type(error).__name__}: {error}", "hint": _bug(error, "en")}


def _bug(error: BaseException, language: str) -> str:
    return say("error_unexpected_hint", language, plugin=failed_plugin(error) or "nlplug")


def foreign_html(found: ForeignTexts, language: str) -> str:
    """`foreign_text` as a line above an answer; empty if there are none."""
    text = foreign_text(found, language)
    return f'<p class="np-note np-notice np-foreign" role="status">{escape(text)}</p>' * bool(text)


def foreign_text(found: ForeignTexts, language: str) -> str:
    """A notice about texts in languages that the model does not know; empty if there are none."""
    if not found.count:
        return ""
    between = "、" if language == "zh" else ", "
    lines = [
        say(
            "foreign_one" if found.total == 1 else "foreign_many",
            language,
            n=f"{found.count:,}",
            total=f"{found.total:,}",
            languages=between.join(found.languages(language)),
        )
    ]
    if found.known:
        known = between.join(found.known_languages(language))
        lines.append(say("foreign_known", language, languages=known))
    return say("sentence_gap", language).join([*lines, say("foreign_answer", language)])


def card_html(
    title: str,
    message: str,
    hint: str | None,
    language: str,
    *,
    style: str,
    original: str | None = None,
) -> str:
    """A card with a title, a message, and optionally a hint and the English original."""
    more = ""
    if hint:
        more = (
            f'<p class="np-hint"><strong>{escape(say("hint", language))}</strong> '
            f"{escape(hint)}</p>"
        )
    if original:
        more += f'<p class="np-original" lang="en">{escape(original)}</p>'
    return (
        f'<div class="np-card-message {style}" role="alert"><strong>{escape(title)}</strong>'
        f"<p>{escape(message)}</p>{more}</div>"
    )
