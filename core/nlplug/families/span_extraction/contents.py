"""Questions on contexts with their answers, as files hold them."""

from __future__ import annotations

from nlplug.data.contents import Content, Contents
from nlplug.data.rows import DataRow
from nlplug.data.squad import answer_spans, text_of


class Questions(Contents):
    """Rows with a question, a context, and answers that are in the context."""

    def key(self, row: DataRow) -> str:
        # All questions on a context are on the same side, else the held-out ones would be easy.
        return text_of(row, "context")

    def content(self, row: DataRow) -> Content:
        context = text_of(row, "context")
        before = f"{text_of(row, 'question')}\n"
        answers = answer_spans(row)
        return Content(
            f"{before}{context}",
            context[slice(*answers[0])] if answers else "",
            ("with an answer" if answers else "without an answer",),
            (("question", "question"), ("context", "context")),
            tuple((start + len(before), end + len(before)) for start, end in answers),
        )
