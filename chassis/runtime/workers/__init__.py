"""The model in processes of its own, for models that hold the interpreter's lock; imported with `workers` above 1."""
