"""Own implementations of published networks that load the published files' key names.

Structures are those of the papers and of the checkpoints' key names; no code is taken over. Every
module has a function that turns the published names into its own.
"""
