"""One metric per file, the protocols, the tables."""
