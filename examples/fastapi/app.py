"""An application of your own that answers with a pipeline.

    pip install 'nlplug[cpu,server]' nlplug-sentiment
    uvicorn app:app

The model is loaded when the application starts. `acall` does not block the event loop, and requests
that arrive at the same time share the threads of the model.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel, StringConstraints

from nlplug import pipeline
from nlplug.errors import InputError


class Review(BaseModel):
    """A review as the shop sends it."""

    product: str
    text: Annotated[str, StringConstraints(max_length=20_000)]


class Judged(BaseModel):
    """Whether somebody should answer the review."""

    product: str
    negative: bool
    score: float


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Load the model at the start and free it at the end."""
    with pipeline("sentiment") as judge:
        await judge.acall("ready?")
        app.state.judge = judge
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/reviews")
async def judge_review(review: Review, request: Request) -> Judged:
    """Judge one review."""
    try:
        (answer,) = await request.app.state.judge.acall(review.text)
    except InputError as error:
        raise HTTPException(422, f"{error.message} {error.hint or ''}".strip()) from error
    negative = answer["label"] == "negative"
    return Judged(product=review.product, negative=negative, score=answer["score"])
