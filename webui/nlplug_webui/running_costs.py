"""Makes the running pages cost less memory and time.

For each page that a browser opens, Gradio copies the table of the components of all pages and
describes each of them anew. This takes about 0.1 s, in which the server answers nobody, and 1.6 MB,
which are kept until 10,000 more pages have been opened. With each event, it notes what was typed
and answered. All of this is for its deep links, which these pages do not have: their addresses
name the values of the form instead.

While nothing happens, Gradio looks for new calls 1,000 times and for progress 100 times a second,
which takes 5 % of a core.
"""

from __future__ import annotations

from collections import ChainMap
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from gradio.blocks import BlocksConfig
from gradio.routes import App
from gradio.state_holder import SessionState, StateHolder

if TYPE_CHECKING:
    import gradio as gr
    from fastapi import FastAPI

_CALL_SECONDS = 0.02
_PROGRESS_SECONDS = 0.1
"""Time between two looks for new calls, and for progress: too short for a person to notice."""


def reduce_costs(app: FastAPI, blocks: gr.Blocks) -> None:
    """Give a mounted Gradio app sessions that keep only changes, and let it look less often.

    Args:
        app: Where it is mounted.
        blocks: The Gradio app, complete.
    """
    blocks._queue.sleep_when_free = _CALL_SECONDS
    blocks._queue.progress_update_sleep_when_free = _PROGRESS_SECONDS
    for route in app.routes:
        mounted = getattr(route, "app", None)
        if isinstance(mounted, App) and mounted.blocks is blocks:
            mounted.state_holder = _Sessions(blocks)


class _Sessions(StateHolder):
    def __init__(self, blocks: gr.Blocks) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.set_blocks(blocks)

    def __getitem__(self, session_id: str) -> SessionState:
        if session_id not in self.session_data:
            self.session_data[session_id] = _Session(self.blocks)
        return super().__getitem__(session_id)


class _Session(SessionState):
    def __init__(self, blocks: gr.Blocks) -> None:
        # Gradio describes those components that `blocks` has: none.
        seen = SimpleNamespace(default_config=_Shared(blocks.default_config), blocks=())
        super().__init__(cast("gr.Blocks", seen))

    def _update_config(self, key: int) -> None:
        """For deep links."""

    def _update_value_in_config(self, key: int, value: Any) -> None:
        """For deep links."""


class _Shared:
    """The components and events of an app; a copy keeps only what differs from them."""

    def __init__(self, config: BlocksConfig) -> None:
        self._config = config

    def __copy__(self) -> BlocksConfig:
        config = BlocksConfig(self._config.root_block)
        config.blocks = cast("dict[int, Any]", ChainMap({}, self._config.blocks))
        config.fns = cast("dict[int, Any]", ChainMap({}, self._config.fns))
        config.fn_id = self._config.fn_id
        return config
