"""The value of corrections, and a checkpoint's settings, found with simulated users.

- `simulate`: a user who knows the ground truth corrects labels in a session.
- `gains`: R@K after n corrections against none, paired over videos.
- `positions`: where what is chosen stands in the lists that a session offers.
- `span_scores`: how well settings of spans make true spans of a model's predictions.
- `tuning`: the best settings on videos that training held out.

The command lines are `c2g_jax.correct` and `c2g_jax.tune`.
"""
