"""The predictors of SAM2.1: images, videos, automatic masks."""
