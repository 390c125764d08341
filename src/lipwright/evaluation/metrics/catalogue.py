"""Every metric of ``lipwright evaluate`` by name, in the order of the table."""

from __future__ import annotations

from lipwright.errors import LipwrightError
from lipwright.evaluation.metrics import (
    cpbd,
    expert_sync,
    fid,
    flicker,
    fvd,
    identity,
    lip_colour,
    lmd,
    lpips,
    lse,
    opening,
    psnr,
    seam,
    silence,
    ssim,
)
from lipwright.evaluation.metrics.base import MetricInfo

CATALOGUE: dict[str, MetricInfo] = {
    info.name: info
    for info in (
        lse.LSE_C,
        lse.LSE_D,
        lse.OFFSET,
        expert_sync.COSINE,
        expert_sync.OFFSET,
        expert_sync.ACCURACY,
        opening.CORRELATION,
        opening.ENVELOPE,
        opening.OFFSET,
        opening.SPREAD,
        silence.INFO,
        lmd.SUM,
        lmd.POINT,
        psnr.INFO,
        ssim.INFO,
        lpips.INFO,
        fid.INFO,
        fvd.INFO,
        fvd.HUNDREDTH,
        cpbd.INFO,
        identity.INFO,
        lip_colour.INFO,
        flicker.INFO,
        seam.INFO,
    )
}
"""``fid`` and ``fvd`` belong to a set of clips; all others to one clip, averaged over clips."""


def choose(names: list[str] | None) -> list[str]:
    """Names in table order; None or empty means all.

    Raises:
        LipwrightError: no such metric.
    """
    if not names:
        return list(CATALOGUE)
    for name in names:
        if name not in CATALOGUE:
            raise LipwrightError(
                f"there is no metric '{name}'; choose from {', '.join(CATALOGUE)}."
            )
    return [name for name in CATALOGUE if name in names]
