"""The servers that benchmarks/serving.py compares, each with the same models."""
