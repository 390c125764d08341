"""Networks only: plain numbers in, tensors out; no files, no configuration."""
