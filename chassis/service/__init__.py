"""The build service: takes packed models, builds images of them with Bazel, pushes them, and says how far it is."""
