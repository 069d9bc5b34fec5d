"""Click2Graph (arXiv 2511.15948): section 3 of the paper, in its order.

3.2 Network architecture         `model.Click2Graph`: SAM2.1 with a DIDM and an SCH
      inference on a frame       `model.discover_objects`: points, masks, triplets
      inference on a video       `c2g_jax.tracking.loop.track_video`
3.3 DIDM                         `didm.Didm`
      encoded image features     `features` of `Didm.__call__`
      subject token              `Didm.first_tokens`; the mask feature: `pooling`
      N_q object queries         `Didm.query_embed`, `DidmConfig.num_queries` = 3
      Transformer layers         `didm.DidmLayer`, run by `Didm.refined_queries`
      point head                 `Didm.point_head`, applied in `Didm.__call__`
      points to object masks     `model.segment_points`
3.4 SCH                          `sch.Sch`
      pooling over masks         `pooling.pool_mask`
      s_i, o_ij: MLPs            `Sch.subject`, `Sch.object`
      obj_ptr pair, r_ij: MLP    `Sch.pair`, `Sch.predicate`
      triplets, equation (1)     `sch.best_triplets`
3.5 Training objective           `loss.RelationLoss`
      L_mask: BCE, IoU, Dice     `loss.object_mask_terms`; formulas: `losses`
      L_L2                       `RelationLoss.point_error`
      L_sub, L_obj, L_rel        `loss.subject_terms`, `loss.class_terms`
      Hungarian matching         `matching.assign`, `assign_points`, `match`
      ground truth of a clip     `targets.clip_targets`
3.6 Training details             `configs/open_pvsg.py`, all figures of the paper
      loss weights lambda        `loss.RelationLoss`, the defaults of its fields
      SAM2.1 is frozen           `task.Click2GraphTask.trainable`: DIDM and SCH; by
                                 `c2g_jax.training.optim.split_names`, `.state`
      AdamW, schedules           `config.lr`, `.schedule`; `c2g_jax.training.optim`
      8-frame clips              `config.clip.num_frames`; forward pass: `clip`
3.7 Ground-truth points          `c2g_jax.data.prompts.interior_point`
6   Prompt mix 0.49, 0.49, 0.02  `c2g_jax.data.prompts.TRAINING_MIX`

`dropout` serves DIDM and SCH. `settings`, of a checkpoint: how its confidences become
relations, on which the paper is silent. `prior`, not of the paper: which relations are
likely between two named things; `geometry`, not of the paper: how the two masks of a
pair lie to each other, for an SCH that reads it. What departs from the paper to train a
model from scratch is in `c2g_jax.from_scratch`.
"""
