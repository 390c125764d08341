"""Where the faces are, and how a crop is taken and pasted back."""
