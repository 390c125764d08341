"""Training stages: one small class per file."""
