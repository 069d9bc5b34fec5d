"""PyTorch checkpoints to ours, and both implementations side by side.

The only package here that needs torch and the `sam2` package. Its two programs,
`convert` and `verify`, tell what they do where these are missing.
"""

import c2g_jax  # noqa: F401  (Ctrl-C ends in one line from here on)
