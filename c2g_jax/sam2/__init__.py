"""SAM2.1 in Flax NNX: modules, pure functions over video, and predictors."""
