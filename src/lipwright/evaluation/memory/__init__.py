"""What an Audio-Lip Memory has learnt: ``lipwright memory inspect``."""
