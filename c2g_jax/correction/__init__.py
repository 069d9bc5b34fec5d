"""The value of corrections in a session, measured with simulated users.

- `simulate`: a user who knows the ground truth corrects labels in a session.
- `gains`: R@K after n corrections against none, paired over videos.

The command line is `c2g_jax.correct`.
"""
