"""What training a causal language model from scratch can be told beyond other training."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nlplug.errors import OptionError
from nlplug.train.pretrain_config import PretrainConfig, writes_text


class CausalPretrainConfig(PretrainConfig):
    """Settings of a run from scratch of a causal language model."""

    architecture: Literal["llama", "gpt2"] = Field(
        default="llama", description="Architecture of the model."
    )
    kv_heads: int | None = Field(
        ge=1, default=None, description="Key and value heads of llama; default: as many as heads."
    )

    def check(self) -> None:
        """See `PretrainConfig.check`."""
        super().check()
        writes_text(self)
        if self.architecture != "llama" and self.kv_heads is not None:
            raise OptionError(
                f"--kv-heads is {self.kv_heads}, but {self.architecture} has no such setting.",
                hint="Leave it out, or choose --architecture llama.",
            )
        head = self.hidden // self.heads
        if head % 2 and self.architecture == "llama":
            raise OptionError(
                f"--hidden is {self.hidden}: a head of {head} is odd.",
                hint="Rotary positions turn pairs, so a head needs an even width.",
            )
        if self.heads % (self.kv_heads or self.heads):
            raise OptionError(
                f"--kv-heads is {self.kv_heads}, by which {self.heads} heads cannot be divided.",
                hint="Choose a divisor of --heads.",
            )
