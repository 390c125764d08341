"""Many dubs from one table: jobs, what is done of them, and who does the rest."""
