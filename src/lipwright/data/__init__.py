"""Raw video to corpus, and the datasets that read a corpus."""
