"""Conversion of PyTorch checkpoints, and comparison with the `sam2` package.

The only package that needs torch and `sam2`. Commands: `convert` and `verify`.

- `checkpoint_files`, `hugging_face`: read checkpoint files; names of `transformers`
- `rules`: names and layouts, official to Flax; `official`: port and convert;
  `reverse`: Flax to official
- `reference`, `transformers_reference`: the reference models; `seeded`: checkpoints
  with random weights; `scenes`: drawn videos
- `pair`, `runs`, `stages`, `suite`, `compare`: both implementations on one video, the
  rows of their comparison, error bounds
"""

import c2g_jax  # noqa: F401  (installs the handler of Ctrl-C)
