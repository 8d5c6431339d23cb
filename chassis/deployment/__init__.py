"""How an image of a model runs in a cluster."""
