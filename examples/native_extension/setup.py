"""The extension module; everything else is in pyproject.toml."""

import numpy
from setuptools import Extension, setup

setup(
    packages=["histogram"],
    ext_modules=[
        Extension("histogram._histogram", ["histogram/_histogram.c"], include_dirs=[numpy.get_include()]),
    ],
)
