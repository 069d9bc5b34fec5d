"""A drawn world in OpenPVSG's format on disk."""
