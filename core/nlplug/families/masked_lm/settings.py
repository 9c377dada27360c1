"""Settings of training a masked language model from scratch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nlplug.train.pretrain_config import PretrainConfig


class MaskedPretrainConfig(PretrainConfig):
    """Settings of training a masked language model from scratch."""

    architecture: Literal["bert"] = Field(default="bert", description="Architecture of the model.")
