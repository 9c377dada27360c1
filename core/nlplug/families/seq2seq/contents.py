"""Sources with their targets, as files hold them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nlplug.data.contents import Content, Contents
from nlplug.data.pairs import pairs_of
from nlplug.data.rows import DataRow

if TYPE_CHECKING:
    from nlplug.families.seq2seq.settings import Seq2SeqConfig


class Pairs(Contents):
    """Rows with a source, and a target in one or several languages.

    A source may have several right targets, so two of them are no contradiction.
    """

    config: Seq2SeqConfig

    def key(self, row: DataRow) -> str:
        # All targets of a source are on the same side, else the held-out ones would be known.
        return pairs_of(row, self.config.source, self.config.target)[0].source

    def content(self, row: DataRow) -> Content:
        pairs = pairs_of(row, self.config.source, self.config.target)
        source = self.config.source or "source"
        languages = tuple(pair.language for pair in pairs)
        return Content(pairs[0].source, None, languages, (("source", source),))
