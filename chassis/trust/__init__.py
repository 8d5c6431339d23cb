"""What an image says of itself to those who have to trust it: bills of materials, provenance, signatures."""
