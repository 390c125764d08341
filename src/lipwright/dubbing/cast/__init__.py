"""Many speeches in one film: who says what, when, and how it sounds together."""
