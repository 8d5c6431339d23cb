"""The HTTP front ends: Open Inference Protocol v2, KServe v1, metrics and their description."""
