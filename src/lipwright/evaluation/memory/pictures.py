"""The pictures of ``lipwright memory inspect``: slot use, heat map, sounds, mouths, mixtures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lipwright.evaluation.plot import pyplot
from lipwright.face_regions import MOUTH_PICTURE_BOX, pixel_box

Array = NDArray[np.float32]


def slot_use(audio: Array, lips: Array, order: NDArray[np.int64], path: Path) -> None:
    """Bars of the mean address (S,) of audio and of lips, slots in ``order``."""
    plt = pyplot()
    figure, axes = plt.subplots(figsize=(10, 2.8), layout="constrained")
    place = np.arange(len(order))
    axes.bar(place - 0.2, audio[order], 0.4, label="audio", color="#3567a8")
    axes.bar(place + 0.2, lips[order], 0.4, label="lips", color="#c96f2f")
    axes.set(xlabel="slot, most used by lips first", ylabel="mean address", xlim=(-1, len(order)))
    axes.legend(frameon=False)
    _save(plt, figure, path)


def heat_map(
    address: Array, lips: Array, wave: Array, words: Sequence[str] | None, path: Path
) -> None:
    """Waveform over the addresses (n, S) of a clip, from speech and from the true lips."""
    plt = pyplot()
    n = len(address)
    seconds = n / 25
    # Slots in the order of the moment at which they are strongest: speech runs along the diagonal.
    order = np.argsort(lips.argmax(0) + 1e-3 * lips.max(0), kind="stable")
    order = order[np.maximum(lips.max(0), address.max(0))[order] > 1.5 / lips.shape[1]]
    if not len(order):
        order = np.arange(lips.shape[1])
    figure, axes = plt.subplots(
        3, 1, figsize=(10, 6), sharex=True, layout="constrained", height_ratios=(1, 3, 3)
    )
    axes[0].plot(np.linspace(0, seconds, len(wave)), wave, linewidth=0.4, color="#222222")
    axes[0].set_yticks([])
    if words:
        _write_words(axes[0], words)
    for plot, table, name in ((axes[1], address, "from speech"), (axes[2], lips, "from lips")):
        plot.imshow(
            table[:, order].T,
            aspect="auto",
            origin="lower",
            extent=(0, seconds, 0, len(order)),
            cmap="magma",
            interpolation="nearest",
        )
        plot.set_ylabel(f"slots, {name}")
    axes[2].set_xlabel("seconds")
    _save(plt, figure, path)


def _write_words(axes: Any, words: Sequence[str]) -> None:
    """Every word once, in the middle of its frames."""
    begin = 0
    for i in range(1, len(words) + 1):
        if i == len(words) or words[i] != words[begin]:
            if words[begin] != "sil":
                axes.text(
                    (begin + i) / 50,
                    1.02,
                    words[begin],
                    ha="center",
                    va="bottom",
                    transform=axes.get_xaxis_transform(),
                    fontsize=9,
                )
                axes.axvline(begin / 25, color="#bbbbbb", linewidth=0.6)
            begin = i


LEAST_ROWS = 8
"""Few labels do not make a map so low that its scale has no room for its words."""


def label_map(table: Array, labels: Sequence[str], slots: Sequence[int], path: Path) -> None:
    """Lift p(slot | label) / p(slot) in powers of two, (labels, slots)."""
    plt = pyplot()
    size = (min(14.0, 2 + 0.22 * len(slots)), 1.2 + 0.2 * max(LEAST_ROWS, len(labels)))
    figure, axes = plt.subplots(figsize=size, layout="constrained")
    shown = axes.imshow(
        np.log2(np.maximum(table, 1e-3)), aspect="auto", cmap="RdBu_r", vmin=-3, vmax=3
    )
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    axes.set_xticks(range(len(slots)), [str(s) for s in slots], fontsize=6, rotation=90)
    axes.set_xlabel("slot")
    figure.colorbar(shown, label="likelier than by chance, log2")
    _save(plt, figure, path)


def mouth_grid(pictures: Tensor, names: Sequence[str], path: Path, columns: int = 12) -> None:
    """Drawn mouths (N, 3, S, S) in [-1, 1] in a grid, each under its name."""
    from PIL import Image, ImageDraw

    tiles = [_mouth(p) for p in pictures]
    height, width = tiles[0].shape[:2]
    band = 12
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * (width + 2), rows * (height + band + 2)), "white")
    pen = ImageDraw.Draw(sheet)
    for i, (tile, name) in enumerate(zip(tiles, names, strict=True)):
        x, y = i % columns * (width + 2), i // columns * (height + band + 2)
        pen.text((x + 2, y), name, fill="black")
        sheet.paste(Image.fromarray(tile), (x, y + band))
    sheet.save(path)


def _pixels(picture: Tensor) -> NDArray[np.uint8]:
    x = ((picture.float().clamp(-1, 1) + 1) * 127.5).round().byte()
    return np.asarray(x.permute(1, 2, 0).numpy())


def _mouth(picture: Tensor) -> NDArray[np.uint8]:
    left, top, right, bottom = pixel_box(MOUTH_PICTURE_BOX, picture.shape[-1])
    return _pixels(picture[:, top:bottom, left:right])


def _save(plt: Any, figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=110)
    plt.close(figure)
