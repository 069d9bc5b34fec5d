"""From the official PyTorch checkpoints to ours, and the proof that both are equal."""
