"""Calls the method: batches of faces and speech in, drawn faces out, a state per face and shot."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing import composite
from lipwright.dubbing.hidden import visible
from lipwright.dubbing.lip_warp import warp_lips
from lipwright.dubbing.plan import PlannedFace
from lipwright.dubbing.render_job import Beyond, Face, Job, PendingFrame, Picture
from lipwright.faces import paste
from lipwright.lip_motion import NeutralMouth
from lipwright.media.mel import SILENCE, column_at, windows
from lipwright.methods.articulation import stretched, unstretched
from lipwright.methods.base import ReferenceLips

MAP = 64
"""Side of the maps that say where reference frames show a face."""


JAW_DROP = 0.2
"""How far below a reference's chin, as part of the face's height, its picture still counts as face:
there it has to cover the chin of a mouth that stands wide open in this frame."""


SHORT = 0.008
"""Distance in parts of the crop's side, at the lip point that falls short most: 2 pixels of 256."""


class FaceRenderer:
    """Calls the method, one batch per track and window, and keeps its state for each of them."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._states: dict[tuple[int, int], Any] = {}
        self._references: dict[int, Picture] = {}
        self.beyond = Beyond()

    def draw(self, window: list[PendingFrame]) -> None:
        """Fill in ``generated`` and ``baseline`` of all faces of a window."""
        job = self._job
        groups: dict[tuple[int, int], list[tuple[int, Face]]] = {}
        for work in window:
            for face in work.faces:
                key = (face.planned.track, job.schedule.shot_pass(work.k))
                groups.setdefault(key, []).append((work.k, face))
        last_pass = job.schedule.shot_pass(window[-1].k)
        for key, members in groups.items():
            if key not in self._states:
                self._states[key] = self._start(key[0])
            sources = np.stack([face.source for _, face in members])
            faces = np.ascontiguousarray(sources.transpose(0, 3, 1, 2)) * np.float32(2) - 1
            audio = self.audio([k for k, _ in members], key[0])
            made = job.method.render(faces, audio, self._states[key])
            pictures = _pictures(made.faces)
            steps = made.step if made.lips is not None else None
            copies = None if made.baseline is None else _pictures(made.baseline)
            restored = None
            if made.restored is not None:
                restored = _pictures(made.restored)
            for i, (k, face) in enumerate(members):
                if steps is not None and job.schedule.activity_of(key[0])[k] > 0:
                    self.beyond.faces += 1
                    furthest = float(np.linalg.norm(steps[i], axis=-1).max())
                    self.beyond.short += furthest > SHORT
                face.generated = pictures[i]
                face.redrawn = made.redrawn
                face.baseline = None if copies is None else copies[i]
                face.restored = None if restored is None else restored[i]
                if made.lips is not None and made.step is not None:
                    face.lips = made.lips[i] + made.step[i]
                if made.weights is not None:
                    face.support = self._support(face.planned, made.weights[i])
                if steps is not None and made.lips is not None and np.abs(steps[i]).max() > 1e-3:
                    if face.restored is not None:  # then nothing else is shown
                        face.restored = warp_lips(face.restored, made.lips[i], steps[i])
                    else:
                        face.generated = warp_lips(face.generated, made.lips[i], steps[i])
        # A shot that has passed comes back, if ever, as another pass with a state of its own.
        self._states = {key: state for key, state in self._states.items() if key[1] == last_pass}
        tracks = {number for number, _ in self._states}
        self._references = {
            number: masks for number, masks in self._references.items() if number in tracks
        }

    def _start(self, track: int) -> Any:
        """State of a face of which nothing has been drawn in this shot."""
        job = self._job

        def start() -> Any:
            return job.method.start(*self._reference(track))

        if job.started is None or not job.method.info.stateless:
            return start()
        return job.started.state(job.schedule.plan, track, start)

    def _support(self, planned: PlannedFace, weights: NDArray[np.float64]) -> Picture:
        track = self._job.schedule.track(planned.track)
        if planned.track not in self._references:
            faces = [track.face(frame) for frame, _ in track.references]
            masks = [
                np.ones((MAP, MAP)) if f is None else face_mask(f, MAP, JAW_DROP) for f in faces
            ]
            self._references[planned.track] = np.stack(masks).astype(np.float32)
        return composite.support(weights, self._references[planned.track], face_mask(planned, MAP))

    def audio(self, frames: list[int], track: int) -> Picture:
        """(B, C, W) windows, or (B, K) single columns, at rest where nobody speaks."""
        schedule = self._job.schedule
        features = self._job.adapted.get(track, self._job.audio_features)
        assert features is not None
        times = [schedule.timeline.time(k) for k in frames]
        activity = np.asarray(schedule.activity_of(track)[frames], np.float32)
        if self._job.method.info.whole_speech:
            columns = np.array([column_at(time) for time in times])
            activity = activity * (columns < features.shape[1])  # behind the end nothing is said
            picked: Picture = features[:, columns.clip(max=features.shape[1] - 1)].T
            method = self._job.method
            if method.motions is None:
                return np.asarray(picked * activity[:, None], np.float32)
            # 0 is the mouth at rest; less of a motion is less of what is drawn.
            share = (activity * np.float32(self._job.expressiveness))[:, None]
            return unstretched(share * stretched(picked, method.articulation), method.articulation)
        audio = windows(features, times, self._job.method.info.audio)
        silence = np.float32(SILENCE)
        return silence + activity[:, None, None] * (audio - silence)

    def _reference(self, number: int) -> tuple[Picture, ReferenceLips]:
        """(R, 3, S, S) in [-1, 1], and what the lips do there."""
        schedule, method = self._job.schedule, self._job.method
        side = method.info.reference_size
        track = schedule.track(number)
        references = []
        for picture in schedule.plan.references(track):
            if picture.shape[0] != side:
                how = cv2.INTER_AREA if side < picture.shape[0] else cv2.INTER_CUBIC
                picture = np.asarray(cv2.resize(picture, (side, side), interpolation=how), np.uint8)
            references.append(picture)
        stack = np.stack(references).transpose(0, 3, 1, 2).astype(np.float32)
        lips = ReferenceLips(
            np.array([opening for _, opening in track.references]),
            np.stack(track.reference_lips),
            NeutralMouth(track.rest_opening, track.rest),
        )
        return np.ascontiguousarray(stack) / np.float32(127.5) - 1, lips


def _pictures(faces: Picture) -> list[Picture]:
    """(B, 3, S, S) in [-1, 1] -> (S, S, 3) each in [0, 1]."""
    unit = ((faces + np.float32(1)) / np.float32(2)).clip(0.0, 1.0)
    return list(np.ascontiguousarray(unit.transpose(0, 2, 3, 1), dtype=np.float32))


def face_mask(planned: PlannedFace, side: int, opening: float = paste.OPENING) -> Picture:
    """(S, S) where the mouth of a planned face may change its crop.

    ``opening``: how far its chin may drop, as part of the face's height.
    """
    points = planned.points * np.float32(side) - np.float32(0.5)
    mask = paste.outline_mask(points, side, opening=opening)
    return mask * visible(planned.hidden, side) if planned.hidden else mask
