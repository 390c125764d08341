"""The human study: blind ratings of methods by people, from the folders to the table."""
