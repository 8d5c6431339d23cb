"""Clients that mean harm to the server in an image."""
