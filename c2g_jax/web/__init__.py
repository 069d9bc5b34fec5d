"""The page: `python -m c2g_jax.web` serves it to this machine alone."""
