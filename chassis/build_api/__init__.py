"""What the build service and its clients agree on."""
