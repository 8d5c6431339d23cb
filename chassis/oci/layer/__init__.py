"""Layers: writing tar archives whose compressed form is put together without recompression."""
