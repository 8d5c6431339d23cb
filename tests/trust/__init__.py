"""Bills of materials, provenance and signatures, with the programs of others."""
