"""Which of the two stacks is installed: transformers 4 with Optimum, or transformers 5.

What differs between them is decided by this number, in as few places as possible.
"""

from __future__ import annotations

from nlplug.extras import require


def transformers_major() -> int:
    """The major version of transformers.

    Raises:
        MissingExtra: transformers is not installed.
    """
    transformers = require("transformers", "train", purpose="Training and export")
    return int(transformers.__version__.partition(".")[0])
