"""Locks of Python wheels: resolved with uv, narrowed to one file for each package and platform."""
