"""Files of the user: folders, what is kept for later runs, texts that may be anything."""
