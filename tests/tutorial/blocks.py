"""The tutorial's code, block by block."""

from __future__ import annotations

import re
from pathlib import Path

_BLOCK = re.compile(r"## (\w+)\n\n```python\n(.*?)```", re.DOTALL)


def read_blocks(path: Path) -> dict[str, str]:
    """Name of a block to its text, of the file tutorial_blocks.txt."""
    return dict(_BLOCK.findall(path.read_text(encoding="utf-8")))
