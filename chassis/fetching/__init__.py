"""Programs of repository rules, which run on the bare interpreter before any package is there."""
