"""What is written down about an output: the user's list of ids, consent, certificate, manifest."""
