"""Typed inputs: from the bytes of an item to what a predict function is annotated to take, whatever the protocol."""
