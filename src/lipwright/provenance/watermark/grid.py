"""Which bit each 8x8 square of a picture carries: a grid that hangs on the frame's corner.

The published scheme numbers blocks inside the marked crop, so that a reader must know the crop to
the pixel; a face that is found again never lies there exactly. Here the grid is fixed to the
origin of the stored frame: column c carries bit ``c mod 32`` of the id whatever was marked around
it, and every window whose width is a multiple of 256 pixels, put on a multiple of 8, reads the
same way with the published library (turned by ``c mod 32`` bits where it does not begin on a
multiple of 256).

Four of every sixteen rows carry a *pilot* instead of the id: 128 bits that are the same in all
files. They tell that there is a Lipwright mark at all, and where its grid lies after a crop or a
zoom, without knowing any id. Three rows of four stay with the id, which is majority enough for the
published reader.

    row mod 16:   0 .. 11   id, bit = column mod 32
                 12, 13     pilot row A      (rows 16..31 of 32 carry pilot rows C and D)
                 14, 15     pilot row B
"""

from __future__ import annotations

import hashlib
import secrets
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from lipwright.errors import LipwrightError
from lipwright.provenance.watermark.scheme import BLOCK, Bits

SCHEME = "org.lipwright.dwtdctsvd-u.1"
"""Name of this watermark in manifests: algorithm, channel, version of the grid."""
ID_BITS = 32
PILOT_BITS = 128
CHIPS = ID_BITS + PILOT_BITS
"""Different bits on the grid: 0..31 are the id's, 32..159 the pilot's."""
TILE = 32
"""The grid repeats after so many blocks, across and down."""
TILE_PIXELS = TILE * BLOCK
_BAND = 16
_ID_ROWS = 12

Index = npt.NDArray[np.intp]


def new_id() -> int:
    """A random 32-bit id. What is said about false alarms rests on its being random."""
    return secrets.randbits(ID_BITS)


def parse_id(text: str) -> int:
    """An id from eight hexadecimal digits.

    Raises:
        LipwrightError: anything else.
    """
    digits = text.strip().lower().removeprefix("0x")
    if len(digits) != ID_BITS // 4 or any(c not in "0123456789abcdef" for c in digits):
        raise LipwrightError(
            f"{text!r} is not a watermark id; give eight hexadecimal digits such as 0f3a92c4."
        )
    return int(digits, 16)


def format_id(mark_id: int) -> str:
    """Eight hexadecimal digits; ``bytes.fromhex`` of them is what the published library reads."""
    return f"{mark_id:08x}"


def id_bits(mark_id: int) -> Bits:
    """(32,) the bits of an id, highest first."""
    if not 0 <= mark_id < 2**ID_BITS:
        raise LipwrightError(f"The watermark id {mark_id} does not fit in 32 bits; choose another.")
    return np.unpackbits(np.frombuffer(mark_id.to_bytes(ID_BITS // 8, "big"), np.uint8))


def bits_to_id(bits: npt.NDArray[np.bool_]) -> int:
    """The id that 32 bits spell."""
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


@lru_cache(maxsize=1)
def pilot_bits() -> Bits:
    """(128,) the pilot, drawn once: the first half of the SHA-256 of a sentence."""
    digest = hashlib.sha256(b"Lipwright pilot, version 1").digest()
    bits = np.unpackbits(np.frombuffer(digest[: PILOT_BITS // 8], np.uint8))
    bits.flags.writeable = False
    return bits


@lru_cache(maxsize=8)
def tile_chips() -> Index:
    """(32, 32) which of the 160 bits each block of one tile carries."""
    row = np.arange(TILE)[:, None]
    column = np.arange(TILE)[None, :]
    within = row % _BAND
    pilot_row = row // _BAND * 2 + (within - _ID_ROWS) // 2
    pilot = ID_BITS + pilot_row * TILE + column
    chips = np.where(within < _ID_ROWS, np.broadcast_to(column, pilot.shape), pilot)
    chips.flags.writeable = False
    return chips


def chips(first_row: int, first_column: int, rows: int, columns: int) -> Index:
    """(rows, columns) which of the 160 bits the blocks of a window of the grid carry."""
    down = (np.arange(rows) + first_row) % TILE
    across = (np.arange(columns) + first_column) % TILE
    return tile_chips()[np.ix_(down, across)]


def code_word(mark_id: int) -> Bits:
    """(160,) all bits of the grid for an id: the id's own and the pilot's."""
    return np.concatenate([id_bits(mark_id), pilot_bits()])


def signs(mark_ids: list[int]) -> npt.NDArray[np.float64]:
    """(N, 160) code words of N ids as -1 and +1."""
    words = [code_word(mark_id) for mark_id in mark_ids]
    return np.array(words, np.float64).reshape(len(words), CHIPS) * 2.0 - 1.0
