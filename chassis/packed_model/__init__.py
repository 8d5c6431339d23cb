"""A model as it leaves the Python that made it, and the Bazel package that it becomes."""
