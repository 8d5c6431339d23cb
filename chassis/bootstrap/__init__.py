"""What `bazelw` starts: it finds a Bazel that works here, or brings one."""
