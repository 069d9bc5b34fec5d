"""Released SAM2.1 checkpoints, read without PyTorch.

`weights_folder` in `cache` is the entry: a .pt, a .safetensors or a folder of Hugging
Face in, a folder of ours out. In reading order:

- `cache`: converts once, into the user's cache
- `official`: the size of a state, and its parameters by our names
- `checkpoint_files`: which files hold a checkpoint, and their tensors
- `state_dicts`: the state within what a file holds
- `torch_file`, `torch_pickle`: a .pt is a zip with a pickle, which is interpreted here
- `stored_tensor`: a tensor that is read when it is needed
- `rules`, `hugging_face`: the tables of names
"""
