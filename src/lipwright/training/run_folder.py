"""Names of the files in a stage's folder."""

STATE = "last.pt"
"""What a training goes on from."""
SETTINGS = "settings.json"
"""The config and the corpus that the training was begun with."""
