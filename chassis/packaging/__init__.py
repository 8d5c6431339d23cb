"""A predict function becomes the files of an image's model directory: pickled, checked, described."""
