"""CompilerInfo: a C and C++ compiler for one target."""

CompilerInfo = provider(
    doc = "zig's clang and lld with what they need for one CPU and glibc. `//platforms/zig:cc` runs them.",
    fields = {
        "architecture": "string: `amd64` or `arm64`.",
        "glibc": "string: the oldest glibc that what it compiles runs on, such as `2.28`.",
        "root": "File: the directory of zig and its `lib`.",
        "runtime": "File: the directory with what is linked into programs, and `target.sh`.",
    },
)
