"""A generator of synthetic videos in OpenPVSG's file format."""
