"""Parts of ``tools/fuzz.py``: small valid files, the damage, and what is tried with them."""
