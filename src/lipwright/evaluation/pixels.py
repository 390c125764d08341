"""Pixel measures on aligned face crops, gathered for the quality table (benchmarks/quality.py)."""

from __future__ import annotations

from lipwright.evaluation.metrics.flicker import flicker
from lipwright.evaluation.metrics.lip_colour import colour_difference, lip_colour
from lipwright.evaluation.metrics.psnr import psnr
from lipwright.evaluation.metrics.ssim import ssim

__all__ = ["colour_difference", "flicker", "lip_colour", "psnr", "ssim"]
