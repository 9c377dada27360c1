"""How the events of a page are sent to the server."""

from __future__ import annotations

from typing import Any

AT_ONCE: dict[str, Any] = {
    "queue": False,
    "api_visibility": "private",
    "show_progress": "hidden",
}
"""Settings of events that are answered at once.

They bypass the queue of Gradio and use a separate request. The queue answers all events of an open
page through one stream, which the server closes after the last answer. If the page sends another
event at the moment of closing, it waits forever (gradio 6.17). This happens on busy machines when a
page opens and sends several events.
"""

AS_SENT: dict[str, Any] = {"preprocess": False}
"""Setting of events whose function gets the values of fields as the browser has sent them.

The task checks them, and the page explains its errors. Gradio would end the event with the status
500 if a slider is empty or out of its bounds, or if a choice of a link does not exist.
"""
