"""The interactive session: prompt, track, correct, undo, export.

`c2g_jax.open` and `c2g_jax.open_session` call `open_video` and `open_session`.

- `session`: `Session`; its methods, by subject, are in `prompting` (points, boxes,
  masks, brush), `naming` (categories, the vocabulary), `lanes` (relations and spans by
  hand), `suggestions` (accept and dismiss guesses), `identity` (merge, cut, promote)
  and `saving` (files), on `core`. `opening`: make one, from a video or a file.
- `session_state`: everything a session knows, immutable; `state_parts`: its parts.
  `edits`: a person's edits as functions from state to state; `prompt_deletion`: one of
  them. `history`: undo, redo, and cancellable tracking.
- `tracking_pass`: track frames with the steps of `tracking/`. `recognise`: keep the ids
  of objects found on these frames before. `frame_ranges`: which frames `track` covers.
- `engine`: the model on one video. `memory_cache`, `observation_arrays`: what it
  computed, in memory as far as it fits, and in a temporary file.
- `moments`: where the masks of files lie, which `labels` reads.
- `labels`: classify pairs. `pairs`: the pairs of a frame and their fixed predicates.
  `adapt`: let corrected labels change the labels of similar objects.
- `viewer`: views of a state, from any thread. `views`: their types. `session_graph`:
  the scene graph of a state. `exporting`: write it in other formats. `importing`: go on
  from annotations of a file. `dataset`: many sessions as one download for `prepare`;
  `unfinished`: the frames that are left to track for it.
- `automatic`: find everything. `likely_names`: the names that a person likely chooses
  next, by `ranking`.
- `file`: the session file. `state_rows`: states as JSON rows. `fingerprint`: recognise
  the video of a saved session.
- `arguments`: check what callers give. `strokes`: paint on a mask.
"""

from c2g_jax.session.dataset import export_sessions
from c2g_jax.session.opening import open_session, open_video
from c2g_jax.session.session import Session

__all__ = ["Session", "export_sessions", "open_session", "open_video"]
