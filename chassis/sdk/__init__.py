"""What the SDK is made of: inputs for trying a model, its requirements, the package that it is saved as."""
