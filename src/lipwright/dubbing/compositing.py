"""The last steps of a frame: drawn faces are composited, sharpened, and the frame is marked."""

from __future__ import annotations

from dataclasses import replace

import cv2

from lipwright.dubbing import composite
from lipwright.dubbing.face_renderer import face_mask
from lipwright.dubbing.render_job import Job, PendingFrame
from lipwright.faces import alignment
from lipwright.media.bars import overlap, without_bars
from lipwright.media.region import RegionEdit, crop_to_storage


def composite_faces(work: PendingFrame, job: Job) -> None:
    """Edit the frame, and mark it."""
    side = job.method.size
    picture = without_bars(work.native, job.info) if work.faces else (0, 0, 0, 0)
    for face in work.faces:
        assert face.generated is not None
        mask = face_mask(face.planned, side)
        edit = composite.prepare(
            face.generated,
            face.baseline,
            face.source,
            mask,
            job.detail,
            face.restored,
            face.redrawn,
        )
        if face.support is not None and job.detail == "keep":
            share = cv2.resize(face.support, (side, side), interpolation=cv2.INTER_LINEAR)
            edit = replace(edit, replace=edit.replace * share)
        to_frame = crop_to_storage(job.info, alignment.to_pixels(face.planned.crop, side))
        simple = composite.is_overlay(edit)
        box = composite.bounds(mask * edit.replace if simple else mask, to_frame)
        if box is None:
            continue
        sharper = job.enhancer if job.enhancer and job.enhancer.wants(face.planned) else None
        box = sharper.grown(box, face.planned) if sharper else box
        region = RegionEdit(work.native, job.info, overlap(box, picture))
        if 0 in region.shape:
            continue
        to_region, strength = to_frame.copy(), face.planned.strength
        to_region[:, 2] -= region.box[:2]
        before = region.rgb if not simple else None
        filmed = sharper.opened(region) if sharper is not None else None
        if simple:
            drawn = composite.overlay(edit, to_region, region.shape[::-1], strength)
            region.blend(*drawn)
            shown = drawn[2]
        else:
            assert before is not None
            change, shown = composite.delta(edit, before, to_region, strength)
            region.apply(change, shown)
            shown = shown * composite.warp(
                edit.replace, to_region, region.shape[::-1], cv2.INTER_LINEAR
            )
        if sharper is not None and filmed is not None:
            sharper.sharpen(region, filmed, face.planned, face.lips, shown)
    if job.marker is not None:
        job.marker.mark(work.native, job.info, [face.planned.box for face in work.faces])
