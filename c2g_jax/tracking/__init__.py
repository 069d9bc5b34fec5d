"""Following a video: one step a frame, object tracks, spans, the scene graph."""
