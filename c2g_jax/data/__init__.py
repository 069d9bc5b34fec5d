"""From a prepared data set to batches of clips of fixed shape."""
