"""What this project compresses with: one compressor, and the archives that are written with it."""
