"""The command line from a click to a scene graph."""
