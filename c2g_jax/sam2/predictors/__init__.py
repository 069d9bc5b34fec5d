"""The predictors of SAM2.1: images, videos, automatic masks.

The files, in reading order:

- `user_prompts`: points and boxes as users give them, validated and scaled
- `postprocess`: mask logits to the image's size; holes, specks, overlaps
- `image`: `Sam2ImagePredictor`
- `mask_boxes`, `found_masks`, `automatic_masks`: point grids, crops and non-maximum
  suppression; filtered masks and their records; `Sam2AutomaticMaskGenerator`
- `frame_reader`: frames of a video by index, resized
- `track_history`: tracked frames of an object, in memory or in a temporary file
- `video_state`: the inference state of one video
- `video_tracker`: the compiled functions, and tracking through a state
- `video`: `Sam2VideoPredictor`
"""
