"""The metrics, one file each; every file states its source, and how it deviates from it."""
