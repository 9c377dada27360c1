"""What training a masked language model from scratch can be told."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nlplug.train.pretrain_config import PretrainConfig


class MaskedPretrainConfig(PretrainConfig):
    """Settings of a run from scratch of a masked language model."""

    architecture: Literal["bert"] = Field(default="bert", description="Architecture of the model.")
