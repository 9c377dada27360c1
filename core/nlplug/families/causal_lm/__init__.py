"""Causal language models: continue a text or answer a chat."""

from __future__ import annotations

from nlplug.families.causal_lm.options import CausalInput, CausalOptions, GeneratedText, Message
from nlplug.families.causal_lm.task import FAMILY, CausalTask

__all__ = ["FAMILY", "CausalInput", "CausalOptions", "CausalTask", "GeneratedText", "Message"]
