"""OpenPVSG as a TFDS data set: reading the download, and the builder."""
