"""Histograms of grey values, counted in C."""

from histogram._histogram import histogram

__all__ = ["histogram"]
