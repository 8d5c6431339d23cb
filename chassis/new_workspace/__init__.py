"""The first minute: a workspace with a model, its image and its tests, or what one that is there lacks for that."""
