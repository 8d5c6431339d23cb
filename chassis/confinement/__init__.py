"""Walls around code that is not ours: what a process may read, write and call, set by itself before that code runs."""
