"""Step ``judge``: what is wrong with a piece, in words. Looks at numbers only.

The order is that of use to the person who reads the summary: the first reason that holds is named.
"""

from __future__ import annotations

from lipwright.data.rows import PrepareSettings, Row, StepContext
from lipwright.media.mel import MODEL_FPS

TOO_SHORT = "too short"
TOO_SMALL = "face too small"
PROFILE = "profile view"
OVERLAP = "several overlapping faces"
BURNED_IN_TEXT = "burned-in text over the mouth"
STILL = "the mouth stays still"
NO_SPEECH = "no speech"


def judge(row: Row, work: StepContext) -> Row:
    """Give a reason to every piece that training should not see."""
    speech = [(float(a), float(b)) for a, b in row["speech"]]
    pieces = []
    for piece in row["pieces"]:
        start = piece["first"] / MODEL_FPS
        end = start + piece["frames"] / MODEL_FPS
        seconds_of_speech = sum(max(0.0, min(b, end) - max(a, start)) for a, b in speech)
        share = seconds_of_speech / max(end - start, 1e-9)
        judged = {**piece, "speech": round(min(share, 1.0), 3)}
        pieces.append({**judged, "reason": reason(judged, work.settings)})
    return {**row, "pieces": pieces}


def reason(piece: Row, settings: PrepareSettings) -> str:
    """Why a piece is rejected; empty if it is not."""
    if piece["frames"] < settings.min_frames:
        return f"{TOO_SHORT}: {piece['frames']} frames at 25 fps"
    if piece["face_height"] < settings.min_face or not piece["sizes"]:
        return f"{TOO_SMALL}: {piece['face_height']:.0f} px high"
    if piece["yaw"] > settings.max_yaw:
        return f"{PROFILE}: turned by {piece['yaw']:.0f} degrees"
    if piece["overlap"] > settings.max_overlap:
        return f"{OVERLAP}: in {piece['overlap']:.0%} of the frames"
    if piece["text"] > settings.max_text:
        return f"{BURNED_IN_TEXT}: in {piece['text']:.0%} of the sampled frames"
    if piece["motion"] < settings.min_motion:
        return f"{STILL}: the opening varies by {piece['motion']:.4f} of the face"
    if piece["speech"] < settings.min_speech:
        return f"{NO_SPEECH}: found in {piece['speech']:.0%} of the time"
    return ""
