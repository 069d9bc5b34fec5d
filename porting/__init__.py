"""Conversion of PyTorch checkpoints, and comparison with PyTorch.

The only package that needs torch and `sam2`. Commands: `convert` and `verify`.

- `checkpoint_files`, `state_dicts`, `hugging_face`: read checkpoint files; the state in
  them; names of `transformers`
- `rules`: names and layouts, official to Flax; `official`: port and convert;
  `reverse`: Flax to official
- `reference`, `transformers_reference`: the reference models; `seeded`: checkpoints
  with random weights; `scenes`: drawn videos
- `heads`, `heads_loss`: DIDM, SCH and the loss in PyTorch; `heads_files`: trained heads
  both ways; `heads_stages`: their comparison
- `pair`, `runs`, `stages`, `suite`, `compare`: both implementations on one video, the
  rows of their comparison, error bounds
"""

import c2g_jax  # noqa: F401  (installs the handler of Ctrl-C)
