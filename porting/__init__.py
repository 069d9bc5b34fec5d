"""Conversion of PyTorch checkpoints, and comparison with PyTorch.

The only package that needs torch and `sam2`. Commands: `convert` and `verify`.

- `official`: the reading and porting of `c2g_jax.checkpoints.released`, with torch's
  tensors; `reverse`: Flax to official
- `reference`, `transformers_reference`: the reference models; `seeded`: checkpoints
  with random weights; `scenes`: drawn videos
- `heads`, `heads_loss`: DIDM, SCH and the loss in PyTorch; `heads_files`: trained heads
  both ways; `heads_stages`: their comparison
- `pair`, `runs`, `stages`, `suite`, `compare`: both implementations on one video, the
  rows of their comparison, error bounds
"""

import c2g_jax  # noqa: F401  (installs the handler of Ctrl-C)
