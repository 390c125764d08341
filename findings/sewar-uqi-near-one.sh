#!/usr/bin/env bash
# sewar's universal quality index finds any two pictures nearly equal: 0.99 for noise, where it is 0.72.
#
# Version: sewar 0.4.10. The index of Wang and Bovik (2002) compares means and variances in windows of
# 8x8. sewar takes means of the windows (uniform_filter) where its formula wants sums, so that the
# squared mean counts a 64th of what it should, and contrast and structure hardly count at all. Seen
# here, for a textured picture of 256x256: noise with a deviation of 12 gives 0.993 (by the definition
# 0.72), a blur 0.999 (0.91), a grey area without any contrast 0.87 (0.00). Results of talking faces
# that are reported by it are all alike. What one would expect: the index as defined, which the script
# reckons window by window.
# Exits 0 as long as that holds, 1 when it has changed.
set -eu
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/venv"
"$T/venv/bin/pip" -q install sewar==0.4.10 scipy==1.17.1 numpy==2.3.5
cd "$T"
"$T/venv/bin/python" - <<'P'
import sys

import numpy as np
import sewar
from scipy.ndimage import gaussian_filter


def defined(a, b, size=8):
    """Wang and Bovik's Q, window by window: from means, variances and covariance."""
    a, b = (
        np.lib.stride_tricks.sliding_window_view(p.astype(float), (size, size)).reshape(-1, size**2)
        for p in (a, b)
    )
    ma, mb = a.mean(1), b.mean(1)
    va, vb = a.var(1, ddof=1), b.var(1, ddof=1)
    cov = ((a - ma[:, None]) * (b - mb[:, None])).sum(1) / (size**2 - 1)
    return float(np.mean(4 * cov * ma * mb / ((va + vb) * (ma**2 + mb**2))))


chance = np.random.default_rng(0)
y, x = np.mgrid[:256, :256] / 256
texture = 90 * gaussian_filter(chance.normal(0, 1, (256, 256)), 1.5)
picture = (127 + 60 * np.sin(9 * x + 5 * y) + texture).clip(0, 255).astype(np.uint8)
others = {
    "noise": (picture + chance.normal(0, 12, picture.shape)).clip(0, 255).astype(np.uint8),
    "blur": gaussian_filter(picture.astype(float), 1.2).astype(np.uint8),
    "no contrast": np.full_like(picture, int(picture.mean())),
}
seen = {}
for name, other in others.items():
    seen[name] = float(sewar.uqi(picture, other)), defined(picture, other)
    print(f"{name}: sewar {seen[name][0]:.3f}, as defined {seen[name][1]:.3f}")
as_seen = (
    seen["noise"][0] > 0.98
    and seen["noise"][1] < 0.75
    and seen["blur"][0] > 0.99
    and seen["no contrast"][0] > 0.8
    and abs(seen["no contrast"][1]) < 0.01
)
sys.exit(not as_seen)
P
