"""Training: the loop, its state and files, the optimizer, the configuration."""
