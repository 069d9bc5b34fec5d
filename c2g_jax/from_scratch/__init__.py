"""Aids for training a model from nothing; the paper needs none of them."""
