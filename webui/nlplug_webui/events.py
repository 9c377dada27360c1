"""How the events of a page reach the server."""

from __future__ import annotations

from typing import Any

AT_ONCE: dict[str, Any] = {
    "queue": False,
    "api_visibility": "private",
    "show_progress": "hidden",
}
"""Settings of events that are answered at once.

They go past Gradio's queue, by a request of their own. The queue answers all events of an open page
through one stream that the server ends with the last answer; a page that asks something else at
that very moment takes the stream for open and waits for ever (gradio 6.17). On opening a page,
where several events come together, a busy machine meets that moment often enough.
"""
