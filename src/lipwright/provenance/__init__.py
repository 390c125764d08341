"""Invisible watermark, content credentials, consent record, verification."""
