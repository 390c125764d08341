"""One face through a shot: from what was seen in single frames to the track of a plan."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lipwright.dubbing.bridging import HELD_SECONDS, bridge
from lipwright.dubbing.covering import is_covered
from lipwright.dubbing.fades import fade_frames, fades
from lipwright.dubbing.hidden import HIDDEN_LIPS, lasting
from lipwright.dubbing.plan import (
    COVERED,
    LOST,
    MISSING,
    SEEN,
    TURNED_AWAY,
    USABLE,
    Track,
    pack_points,
)
from lipwright.dubbing.plan_file import settle
from lipwright.dubbing.sighting import Sighting, usability
from lipwright.faces import alignment, measure
from lipwright.faces.paste import OUTLINE_POINTS
from lipwright.lip_motion import NeutralMouth
from lipwright.media.info import VideoInfo
from lipwright.runs import runs_of

SMOOTH_RADIUS = 2


def build_track(
    number: int,
    sightings: Sequence[Sighting],
    info: VideoInfo,
    shot: int,
    frames: tuple[int, int],
) -> Track:
    """Gaps bridged, crops smoothed, states and strengths decided.

    Args:
        number: of the track.
        sightings: of the face, in the order of the frames; at least one.
        info: of the video.
        shot: number of the shot.
        frames: its first and last source frame.
    """
    seen = {sighting.frame: sighting for sighting in sightings}
    first, last = sightings[0].frame, sightings[-1].frame
    count = last - first + 1
    rate = info.average_rate
    found = [seen[f].crop if f in seen else None for f in range(first, last + 1)]
    filled = alignment.fill_gaps(found, math.floor(HELD_SECONDS * rate))
    crops = np.zeros((count, 4))
    points = np.zeros((count, len(OUTLINE_POINTS), 2))
    openings = np.zeros(count)
    lips = np.zeros((count, len(measure.LIP_POINTS), 2))
    states = np.full(count, MISSING, np.uint8)
    usual = float(np.median([sighting.covered for sighting in sightings]))
    rows = [seen.get(frame) for frame in range(first, last + 1)]
    hidden = lasting([None if row is None else row.hidden for row in rows], float(rate))
    for start, stop in runs_of(np.array([crop is not None for crop in filled])).tolist():
        known = [crop for crop in filled[start:stop] if crop is not None]
        smooth = alignment.smooth(known, SMOOTH_RADIUS)
        crops[start:stop] = alignment.parameters(smooth)
        turned = False
        for row in range(start, stop):
            sighting = seen.get(first + row)
            if sighting is None:
                states[row] = LOST
                continue
            states[row] = usability(sighting, turned, info.display_size)
            turned = states[row] == TURNED_AWAY
            covered = row in hidden and hidden[row].lips > HIDDEN_LIPS
            if states[row] == SEEN and (covered or is_covered(sighting.covered, usual)):
                states[row] = COVERED
            to_unit = alignment.invert(smooth[row - start])
            points[row] = alignment.apply(to_unit, sighting.points)
            openings[row], lips[row] = sighting.opening, sighting.lips
        bridge(states[start:stop], points[start:stop], openings[start:stop])
    usable = np.isin(states, USABLE)
    rest = NeutralMouth.of(
        np.array([sighting.opening for sighting in sightings]),
        np.stack([sighting.lips for sighting in sightings]),
    )
    at_start, at_end = first == frames[0], last == frames[1]
    return Track(
        number=number,
        shot=shot,
        first=first,
        crops=settle(crops),
        points=pack_points(points),
        openings=settle(openings).astype(np.float32),
        lips=pack_points(lips),
        states=states,
        strength=settle(fades(usable, fade_frames(rate), at_start, at_end)).astype(np.float32),
        rest=settle(rest.shape).astype(np.float32),
        rest_opening=float(settle(np.array(rest.opening))),
        hidden={row: each.packed for row, each in hidden.items()},
    )
