"""Scoring Click2Graph, and any other system, on a prepared data set."""
