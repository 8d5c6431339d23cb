"""The model behind every protocol: loading, calling, batching. Knows no protocol."""
