"""The model server: all that runs inside an image, started as `python -m chassis.runtime`."""
