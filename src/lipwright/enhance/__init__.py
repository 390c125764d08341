"""Stage 2: what a drawn mouth lacks beside the film around it, one file per enhancer."""
