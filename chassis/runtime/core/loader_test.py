"""What a model loads before its first input."""

from __future__ import annotations

import functools

import pytest

from chassis.runtime.core.loader import Loader


class Counting:
    """Counts how often it was loaded."""

    def __init__(self) -> None:
        self.loads = 0

    def load(self) -> None:
        self.loads += 1

    def predict(self, content: bytes) -> int:
        return self.loads


class Static:
    """Has nothing to load."""

    @staticmethod
    def predict(content: bytes) -> int:
        return len(content)


@pytest.mark.parametrize("loaded", [7, None, "text"])
def test_the_function_gets_what_load_returned_before_the_input(loaded: object) -> None:
    def function(given: object, content: bytes) -> tuple:
        return given, content

    predict = Loader(function, lambda: loaded).loaded()
    assert predict(b"a") == (loaded, b"a")
    assert predict(b"b") == (loaded, b"b")


def test_a_class_is_made_once_and_loaded_once() -> None:
    predict = Loader(Counting).loaded()
    assert [predict(b""), predict(b"")] == [1, 1]
    assert Loader(Static).loaded()(b"abc") == 3


def test_a_function_that_is_no_function_gets_it_too() -> None:
    assert Loader(functools.partial(lambda a, b, c: a + b + c, 1), lambda: 2).loaded()(3) == 6
