"""Tests of the declaration, through the whole build."""
