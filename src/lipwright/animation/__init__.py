"""Still pictures that speak."""
