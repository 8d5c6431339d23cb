"""Runs with whichever set of requirements is chosen; says which NumPy that is."""

import os
import sys

import numpy
import pytest
from scaled_values.scaled_values import scaled


def test_values_are_scaled() -> None:
    assert scaled([2.0, 4.0]).tolist() == [5.0, 10.0]


def test_numpy_is_the_sets() -> None:
    wanted = os.environ.get("WANTED_NUMPY")
    assert wanted in (None, numpy.__version__)


if __name__ == "__main__":
    sys.exit(pytest.main([__file__]))
