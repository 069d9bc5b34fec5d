"""Click2Graph in JAX: a click on a video becomes a scene graph.

Nothing is imported here, so that light tools start without JAX; see WORKSPACE.md.
"""

__version__ = "0.1.0"
