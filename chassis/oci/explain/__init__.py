"""Explaining images: what each layer holds, why it is where it is, and what changed since another image."""
