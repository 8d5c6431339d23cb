"""An extension module around a cc_library of the workspace."""

from setuptools import Extension, setup

setup(name="greeter", version="1.0", ext_modules=[Extension("greeter", ["greeter.cc"])])
