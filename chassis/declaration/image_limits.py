"""What images may have at most."""

from __future__ import annotations

MAX_LAYERS = 127
"""Layers that container runtimes mount: a mount takes no more directories than fit its one page of options."""
