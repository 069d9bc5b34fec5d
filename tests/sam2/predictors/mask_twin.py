"""Automatic masks in plain loops: one point, one mask and one pixel at a time."""

import math

import numpy as np

from c2g_jax.sam2.predictors.image import Sam2ImagePredictor


def literal_generate(model, image, settings):
    """The whole generator in plain loops."""
    s = settings
    height, width = image.shape[:2]
    crops = [(0, 0, width, height, 0)]
    for layer in range(1, s["crop_n_layers"] + 1):
        count = 2**layer
        overlap = int(s["crop_overlap_ratio"] * min(height, width) * (2 / count))
        wide = math.ceil((overlap * (count - 1) + width) / count)
        high = math.ceil((overlap * (count - 1) + height) / count)
        for column in range(count):
            for row in range(count):
                x0, y0 = column * (wide - overlap), row * (high - overlap)
                x1, y1 = min(x0 + wide, width), min(y0 + high, height)
                crops.append((x0, y0, x1, y1, layer))
    found = []
    for crop in crops:
        of_crop = literal_crop(model, image, crop, s)
        of_crop = literal_distinct(of_crop, "predicted_iou", s["box_nms_thresh"])
        found.extend(of_crop)
    if len(crops) > 1:
        for record in found:
            record["order"] = 1 / (record["crop_box"][2] * record["crop_box"][3])
        found = literal_distinct(found, "order", s["crop_nms_thresh"])
    if s["min_mask_region_area"]:
        for record in found:
            mended = literal_mend(record["segmentation"], s["min_mask_region_area"])
            record["order"] = float((mended == record["segmentation"]).all())
            record |= literal_record(mended)
        loosest = max(s["box_nms_thresh"], s["crop_nms_thresh"])
        found = literal_distinct(found, "order", loosest)
    return found


def literal_crop(model, image, crop, s):
    x0, y0, x1, y1, layer = crop
    height, width = image.shape[:2]
    predictor = Sam2ImagePredictor(model, s["mask_threshold"])
    predictor.set_image(image[y0:y1, x0:x1])
    side = int(s["points_per_side"] / s["crop_n_points_downscale_factor"] ** layer)
    found = []
    for row in range(side):
        for column in range(side):
            point = [(column + 0.5) / side * (x1 - x0), (row + 0.5) / side * (y1 - y0)]
            asked = dict(point_coords=[point], point_labels=[1], return_logits=True)
            masks, ious, low_res = predictor.predict(
                **asked, multimask_output=s["multimask_output"]
            )
            for mask, iou, low in zip(masks, ious, low_res, strict=True):
                if s["use_m2m"]:
                    (mask,), (iou,), _ = predictor.predict(
                        **asked, mask_input=low[None], multimask_output=False
                    )
                counts = [0, 0]
                whole = np.zeros((height, width), bool)
                for y, line in enumerate(mask.tolist()):
                    for x, logit in enumerate(line):
                        cut = s["mask_threshold"], s["stability_score_offset"]
                        counts[0] += logit > cut[0] + cut[1]
                        counts[1] += logit > cut[0] - cut[1]
                        whole[y0 + y, x0 + x] = logit > cut[0]
                if not whole.any() or iou <= s["pred_iou_thresh"]:
                    continue
                if counts[0] / counts[1] < s["stability_score_thresh"]:
                    continue
                record = literal_record(whole)
                left, top, wide, high = record["bbox"]
                edges = (left, top, left + wide, top + high)
                cut_off = False
                for edge, end, border in zip(
                    edges, crop, (0, 0, width, height), strict=False
                ):
                    if abs(edge - end) <= 20 and abs(edge - border) > 20:
                        cut_off = True
                if cut_off:
                    continue
                record["predicted_iou"] = float(iou)
                record["stability_score"] = counts[0] / counts[1]
                record["point_coords"] = [[point[0] + x0, point[1] + y0]]
                record["crop_box"] = [x0, y0, x1 - x0, y1 - y0]
                found.append(record)
    return found


def literal_record(mask):
    ys, xs = zip(*np.argwhere(mask).tolist(), strict=True)
    box = [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
    return {"segmentation": mask, "area": len(xs), "bbox": box}


def literal_distinct(found, key, threshold):
    kept = []
    for one in sorted(found, key=lambda record: -record[key]):
        for other in kept:
            (ax, ay, aw, ah), (bx, by, bw, bh) = one["bbox"], other["bbox"]
            wide = max(0, min(ax + aw, bx + bw) - max(ax, bx))
            high = max(0, min(ay + ah, by + bh) - max(ay, by))
            if wide * high > threshold * (aw * ah + bw * bh - wide * high):
                break
        else:
            kept.append(one)
    return kept


def literal_mend(mask, min_area):
    for value in (False, True):  # holes, then islands
        regions = flood(mask, value)
        largest = max(regions, key=len, default=[])
        out = mask.copy()
        for region in regions:
            all_small = value and len(largest) < min_area
            if len(region) < min_area and not (all_small and region is largest):
                for cell in region:
                    out[cell] = not value
        mask = out
    return mask


def flood(mask, value):
    """8-connected regions of a value as lists of pixels."""
    height, width = mask.shape
    seen, regions = mask != value, []
    for start in map(tuple, np.argwhere(mask == value)):
        region, ahead = [], [start]
        while ahead:
            y, x = ahead.pop()
            if 0 <= y < height and 0 <= x < width and not seen[y, x]:
                seen[y, x] = True
                region.append((y, x))
                ahead += [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        if region:
            regions.append(region)
    return regions
