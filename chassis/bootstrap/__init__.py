"""What stands behind `bazelw`: it finds a Bazel that works here, or brings one."""
