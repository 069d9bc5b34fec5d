"""Follow a video from prompts to a scene graph, one frame at a time.

predict, evaluation and the interactive session all run the same steps.

- `loop`: the steps of a frame: `begin_frame`, `decide`, `write_memories`; and
  `track_video`, which runs them over a whole video.
- `automatic`: subjects found without a prompt, followed in waves.
- `state`: `TrackingState`, carried from frame to frame; what a frame is asked and what
  comes out of it; slots of the memory bank.
- `inputs`: prompts of a frame as arrays with a row for each slot.
- `object_tracks`: linking queries to tracks, opening, closing and merging tracks.
- `frame_result`: masks and triplets of a frame.
- `scene_graph`: triplets of frames to objects and relations of a video.
- `spans`: confidences on frames to spans in which a relation holds.
"""
