"""Of all files that a request can name, Gradio reads those that were uploaded."""

from __future__ import annotations

from typing import NoReturn

import gradio as gr
from gradio import processing_utils
from gradio.exceptions import InvalidPathError


def read_uploads_only(blocks: gr.Blocks) -> None:
    """Let the app read uploaded files only.

    In an app that is mounted and not launched, Gradio does not check that a file which a request
    names was uploaded (`processing_utils._check_allowed`). So whoever reaches the server could have
    any of its files read. And it downloads a file of which a request names the address.

    Args:
        blocks: The app, before it is mounted.
    """
    blocks.has_launched = True
    processing_utils.async_ssrf_protected_download = _refused


async def _refused(url: str, cache_dir: str) -> NoReturn:
    raise InvalidPathError(f"{url} is not read, because it was not uploaded by a user.")
