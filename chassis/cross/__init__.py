"""Wheels built from source for another machine: zig's clang, the target's headers, and a check of what came out."""
