"""The reference in docs/reference, made of what the code says about itself; `bazel run //docs:update` writes it."""
