"""The layers of a model, by the names that the architectures of transformers give them."""

from __future__ import annotations

import re

LAYER = re.compile(r"\.(?:layers?|h|block)\.(\d+)\.")
"""The number of the layer in the name of a parameter."""
