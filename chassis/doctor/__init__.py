"""The doctor: examines an image for what would only fail on the device that it is for."""
