"""Files of a session: its own, the scene graph's, and those of other formats."""

import dataclasses
from pathlib import Path

from c2g_jax.export.coco import frames_folder
from c2g_jax.media.outputs import path_named
from c2g_jax.media.video import check_not_input
from c2g_jax.session.arguments import writable_path, writing
from c2g_jax.session.core import SessionCore
from c2g_jax.session.exporting import check_kind, write_export
from c2g_jax.session.file import SavedSession, write_session
from c2g_jax.session.history import Step
from c2g_jax.session.importing import (
    check_graph,
    read_annotations,
    taken_over,
    with_declared,
)
from c2g_jax.session.session_graph import provenance
from c2g_jax.session.session_state import SessionState
from c2g_jax.session.views import FOLDERS
from c2g_jax.types import InputError, SceneGraph


class Saving(SessionCore):
    """The methods that read and write files."""

    _autosave: Path | None = None

    @property
    def autosave(self) -> Path | None:
        """The file that the session is saved to after every action, if any."""
        return self._autosave

    @autosave.setter
    def autosave(self, path: str | Path | None) -> None:
        self._autosave = None if path is None else writable_path(path, self.source.path)

    def graph(self, threshold: float | None = None) -> SceneGraph:
        """Return the scene graph so far, in the form of `predict`'s.

        What is suggested is not in it. `threshold` as in `relations`.
        """
        state = self._history.now
        graph = self._viewer.graph(state, self.spans.at_least(threshold))
        made_by = provenance(state, self.model.config.sam2.size, self.source)
        names = state.vocabulary or self.model.config.vocabulary
        used = {track.category for track in graph.objects}
        used |= {relation.predicate for relation in graph.relations}
        # For a session whose vocabulary lacks them (`import_annotations`).
        made_by["vocabulary"] = names.only(used).to_json()
        return dataclasses.replace(graph, provenance=made_by)

    def save_graph(self, path: str | Path, threshold: float | None = None) -> None:
        """Write the graph as scene_graph.json."""
        self.export("scene_graph", path, threshold)

    def export(
        self,
        kind: str,
        path: str | Path,
        threshold: float | None = None,
        frames: bool = False,
    ) -> None:
        """Write the graph as one of `views.EXPORTS`: scene_graph, open_pvsg, coco,
        graphml, csv or overlay. "open_pvsg" makes a folder, all others a file. With
        `frames`, "coco" writes the frames too, to the folder that its names name.
        InputError if other files are in that folder."""
        check_kind(kind, frames)
        graph, names = self.graph(threshold), self.vocabulary
        if frames:
            folder = frames_folder(path_named(path), graph)
            check_not_input(self.source.path, folder, "the session's video")
        with writing(path, self.source.path, kind in FOLDERS) as place:
            write_export(kind, place, graph, self.video, names, frames)

    def import_annotations(
        self, path: str | Path, masks: str | None = None, video_id: str | None = None
    ) -> int:
        """Take over the objects and relations of a file, to go on from them.

        `path`: a scene_graph.json, COCO instances (masks by frame, with `track_id`), or
        a folder in the layout of OpenPVSG, of which `video_id` names the video, by
        default the one of the session's name, or the only one. Objects get new ids, and
        relations are drawn. `masks`: "fixed", each mask is a prompt, which tracking
        does not change; "tracked", the first of an object is one, and tracking anew
        replaces the others; by default fixed, but for a scene_graph.json. Names that
        the file declares are added to the vocabulary if it lacks them. Returns how
        many objects there are. InputError, and nothing is taken over, for a file that
        does not fit the video or has names that the vocabulary lacks.
        """
        graph, fixed = read_annotations(path, self.video, masks, video_id)
        own = self.vocabulary
        names = with_declared(path, graph, own)
        check_graph(path, graph, self.video, names)

        def change(state: SessionState) -> SessionState:
            if names != own:
                state = dataclasses.replace(state, vocabulary=names)
            return taken_over(self._engine, state, graph, fixed)

        self._act(f"{len(graph.objects)} objects of {Path(path).name}", change)
        return len(graph.objects)

    # The session's own file

    def save(self, path: str | Path) -> None:
        """Write the session to a file, for `c2g_jax.open_session`."""
        with self._history.lock, writing(path, self.source.path) as place:
            self._history.check_open()
            write_session(self._saved(place), self._engine.logits.get)

    def history(self) -> tuple[SessionState, list[Step], list[Step]]:
        """Return the state, and the actions done and undone as (name, state)."""
        history = self._history
        return history.now, list(history.done), list(history.undone)

    def restore(self, saved: SavedSession) -> None:
        """Continue from a saved session.

        InputError if it was saved on another video, or with another model.
        """
        fingerprint, config = self._viewer.fingerprint(), self.model.config.sam2
        saved.check(self.video, fingerprint, self.source, config)
        for observation, logits in saved.logits:
            self._engine.logits.put(observation, logits)
        self._history.resume(saved.now, saved.done, saved.undone)

    def _saved(self, path: Path) -> SavedSession:
        """Return the contents of the session's file."""
        video, config = self.video, self.model.config.sam2
        shape = dict(
            name=video.name,
            width=video.width,
            height=video.height,
            num_frames=video.num_frames,
        )
        return SavedSession(
            path,
            shape,
            self._viewer.fingerprint(),
            self.source,
            self.spans,
            self.adapt,
            config.size,
            config.d_model,
            config.low_res_size,
            *self.history(),
            suggests=self._viewer.suggests,
        )

    def _changed(self) -> None:
        """Save to the `autosave` file, if there is one."""
        if self.autosave is None:
            return
        try:
            self.save(self.autosave)
        except InputError as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(
                f"what was done stands, but could not be saved to {self.autosave} "
                f"({reason}): make room, or save elsewhere"
            ) from error
