"""Scoring Click2Graph, or any other system, on a prepared data set. In reading order:

- `protocol`: every choice of the evaluation; `protocol_flags`: the same as flags
- `ground_truth`: the scored units of a video, prompted frames, recall ceilings
- `metrics`: R@K, SpIR and PLR of a subject's predictions, as counts
- `overlaps`: IoUs of run-length encoded masks
- `counting`: the ways in which recall is counted, and the order of equal scores
- `pvsg_official`: the official PVSG metric, R@K and mR@K over whole tracks
- `all_subjects`: recall of all subjects of a video together, in each of the ways
- `predictions`: scene graphs as inputs of both metrics
- `files`: score the predictions of any system from files
- `plan`: which systems, kinds of prompt and runs; the paper's tables
- `trials`: prompted subjects, tracked in batches over the frames of a video
- `scene_predictions`: the model's outputs on a frame as inputs of the metrics
- `heuristic`: object points without DIDM: the paper's heuristic, and an oracle
- `waves`: as many trials at once as fit in memory, on all devices
- `runner`: score a model on videos
- `automatic`: score what is found without any prompt
- `job`: score videos one by one, resumably and in shards
- `results`: from counts to means and deviations over runs
- `prior`: what annotations alone say of relations: its weights, its scores
- `document`: results.json, .csv and .md; `plots`: PNG
"""
