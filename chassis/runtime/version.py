"""The version of this server, that of the module in MODULE.bazel."""

VERSION = "0.1.0"
