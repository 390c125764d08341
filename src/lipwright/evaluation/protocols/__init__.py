"""Evaluation protocols: what is dubbed with which speech, and measured against what."""
