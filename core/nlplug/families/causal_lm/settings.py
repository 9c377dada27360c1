"""Settings of training a causal language model from scratch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nlplug.errors import OptionError
from nlplug.train.pretrain_config import PretrainConfig, check_lossless


class CausalPretrainConfig(PretrainConfig):
    """Settings of training a causal language model from scratch."""

    architecture: Literal["llama", "gpt2"] = Field(
        default="llama", description="Architecture of the model."
    )
    kv_heads: int | None = Field(
        ge=1,
        default=None,
        description="Key and value heads (llama only). Default: the same as --heads.",
    )

    def check(self) -> None:
        """See `PretrainConfig.check`."""
        super().check()
        check_lossless(self)
        if self.architecture != "llama" and self.kv_heads is not None:
            raise OptionError(
                f"--kv-heads is {self.kv_heads}, but {self.architecture} has no such setting.",
                hint="Leave it out, or choose --architecture llama.",
            )
        head = self.hidden // self.heads
        if head % 2 and self.architecture == "llama":
            raise OptionError(
                f"--hidden is {self.hidden}: the width of a head, {head}, is odd.",
                hint="llama needs heads of an even width; choose another --hidden or --heads.",
            )
        if self.heads % (self.kv_heads or self.heads):
            raise OptionError(
                f"--kv-heads is {self.kv_heads}, which does not divide --heads {self.heads}.",
                hint="Choose a divisor of --heads.",
            )
