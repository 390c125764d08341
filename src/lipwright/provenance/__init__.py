"""Provenance: every output is marked, and every mark can be checked.

- ``watermark``: 32 bits hidden in the picture: written, found again, and how sure that is.
- ``record``: what is written down: manifest, certificate, consent, the user's list of ids.
- ``session``: both for one output, from its first frame to the finished file.
- ``embed``: the watermark alone, into a finished file.
- ``verify``: both read back, in plain words.
"""
