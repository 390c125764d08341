"""One trainer, the losses one per file, the stages as small classes."""
