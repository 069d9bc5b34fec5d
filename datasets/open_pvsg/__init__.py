"""OpenPVSG as a TFDS data set: the builder, and the reading of the download."""
