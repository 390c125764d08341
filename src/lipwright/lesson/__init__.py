"""Lip-reading lessons: clips of words and sentences, and a page to practise with."""
