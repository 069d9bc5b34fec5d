"""predict without a prompt: find subjects, follow them, write the results."""

import contextlib
import dataclasses
from collections.abc import Mapping

from c2g_jax.click2graph.model import Click2Graph
from c2g_jax.export.report import progress_bar
from c2g_jax.media.images import resize_frame
from c2g_jax.media.rle import encode_mask
from c2g_jax.predict.job import Job
from c2g_jax.predict.results import (
    provenance,
    recording_times,
    video_info,
    write_results,
)
from c2g_jax.tracking.automatic import (
    WAVE,
    ObjectFinder,
    follow_in_waves,
    found_builder,
    model_for_waves,
)
from c2g_jax.tracking.scene_graph import GraphBuilder
from c2g_jax.types import FrameResult, SceneGraph


def run_automatic(job: Job, model: Click2Graph) -> SceneGraph:
    """Find subjects without a prompt, track them and write the results."""
    video, times, dropped = job.video, [], 0
    count, trained = video.num_frames, model.config.trained
    finder = ObjectFinder(model.sam2, job.auto, resize_frame, count)
    with progress_bar() as progress, contextlib.ExitStack() as opened:
        finding = progress.add_task("finding", total=count)
        results = []
        with contextlib.closing(iter(video)) as frames:
            for frame in recording_times(frames, times):
                result = finder.step(frame)
                if not trained:
                    results.append(encoded_masks(result))
                progress.advance(finding)
        chosen = finder.chosen(len(times))
        prompts = [found.prompt(i) for i, found in enumerate(chosen, 1)]
        if trained:
            waves = -(-len(prompts) // WAVE)
            tracking = progress.add_task("tracking", total=count * waves)
            builder = GraphBuilder(encode_mask, job.spans)

            def again():
                return opened.enter_context(contextlib.closing(iter(video)))

            follow = follow_in_waves(
                model_for_waves(model, job.auto),
                again,
                prompts,
                resize_frame,
                count,
                builder,
                min_frames=job.auto.min_frames,
            )
            for result in follow:
                dropped += result.dropped
                progress.advance(tracking)
        else:
            builder = found_builder(chosen, results, job.spans)
        job = dataclasses.replace(job, prompts=prompts)
        graph = builder.build(video_info(job, times), provenance(job, dropped))
        write_results(job, graph, progress)
    return graph


def encoded_masks(result: FrameResult) -> tuple[int, dict[int, Mapping]]:
    """Return a frame's number and its masks as RLEs: dense ones take much memory."""
    return result.frame, {i: encode_mask(mask) for i, mask in result.masks.items()}
