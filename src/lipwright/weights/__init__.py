"""Model files: registry, cache, the shipped default."""
