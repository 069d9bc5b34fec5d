"""The interactive session: prompt, track, correct, undo, export.

`c2g_jax.open` and `c2g_jax.open_session` call `open_video` and `open_session`.

- `session`: `Session`, the public methods. `opening`: make one, from a video or a file.
- `session_state`: everything a session knows, immutable. `edits`: a person's edits as
  functions from state to state. `history`: undo, redo, and cancellable tracking.
- `tracking_pass`: track frames with the steps of `tracking/`. `recognise`: keep the ids
  of objects found on these frames before. `frame_ranges`: which frames `track` covers.
- `engine`: the model on one video. `memory_cache`, `observation_arrays`: what it
  computed, in memory as far as it fits, and in a temporary file.
- `labels`: classify pairs. `pairs`: the pairs of a frame and their fixed predicates.
  `adapt`: let corrected labels change the labels of similar objects.
- `viewer`: views of a state, from any thread. `views`: their types. `session_graph`:
  the scene graph of a state. `exporting`: write it in other formats.
- `automatic`: find everything. `ranking`: the names that a person likely chooses next.
- `file`: the session file. `state_rows`: states as JSON rows. `fingerprint`: recognise
  the video of a saved session.
- `arguments`: check what callers give.
"""

from c2g_jax.session.opening import open_session, open_video
from c2g_jax.session.session import Session

__all__ = ["Session", "open_session", "open_video"]
