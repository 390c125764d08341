"""A web page, an HTTP API and the human study; needs ``pip install lipwright[serve]``."""
