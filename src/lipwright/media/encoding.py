"""Which encoder, pixel format and options suit a video and the file that it goes into."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import av
import cv2

from lipwright.errors import LipwrightError
from lipwright.media.codecs import CODECS, encodes
from lipwright.media.hdr import DOVI_5, HLG, PQ
from lipwright.media.info import VideoInfo
from lipwright.media.names import Kind, Pixels
from lipwright.media.planes import layout_of
from lipwright.media.prores import check_matrix

KINDS: dict[str, Kind] = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "mkv",
    ".webm": "webm",
}
MUXERS: dict[Kind, str] = {"mp4": "mp4", "mov": "mov", "mkv": "matroska", "webm": "webm"}

_AVX512_SKX = 256  # OpenCV's number for the AVX-512 of Skylake servers, which x264 asks for too
# x264's AVX-512 code for macroblock trees gives other bits from run to run, even with one thread;
# a resumed job has to give those of an uninterrupted one. Its AVX2 code always gives the same.
_REPEATABLE = {"asm": "AVX2"} if cv2.checkHardwareSupport(_AVX512_SKX) else {}

_SMALL_PICTURE = 1280 * 720
_AV1_MIN_SIDE = 16
_HEVC_MIN_SIDE = 64
_FFV1_MIN_SIDE = 16


@dataclass(frozen=True)
class Encoding:
    """How the pictures are to be stored.

    Attributes:
        codec: libav's name of the encoder.
        pix_fmt: pixel format that the encoder is given.
        options: private options of the encoder.
        size: (width, height) of the stored picture.
        sample_aspect: of the stored picture.
        codec_tag: four-character code, where the container's default is not the one to use.
        interlaced: whether the frames are stored as two fields each.
        says_range: whether the stored pictures can say that their codes use the full range.
        captions: whether the pictures keep the closed captions that the source's frames carry.
        fewer_bits: whether they are stored in 8 bits only because the encoder here has no more.
    """

    codec: str
    pix_fmt: str
    options: dict[str, str] = field(default_factory=dict)
    size: tuple[int, int] = (0, 0)
    sample_aspect: Fraction = Fraction(1)
    codec_tag: str | None = None
    interlaced: bool = False
    says_range: bool = True
    captions: bool = False
    fewer_bits: bool = False


def kind_of(out: Path) -> Kind:
    """The container that a file name asks for; LipwrightError for one that is not offered."""
    kind = KINDS.get(out.suffix.lower())
    if kind is None:
        raise LipwrightError(
            f"The output {out} has no known video suffix; use .mp4, .mov, .mkv or .webm."
        )
    return kind


def choose_encoding(
    kind: Kind,
    info: VideoInfo,
    crf: int = 16,
    lossless: bool = False,
    preset: str | None = None,
    pixels: Pixels = "keep",
    codec: str = "auto",
    captions: bool = False,
) -> Encoding:
    """Choose the encoder.

    Lossy: H.264 (8 bit in 4:2:0, 4:2:2 and 4:4:4; 10 bit in 4:2:2 and 4:4:4). 4:2:0 in 10 bit
    becomes HEVC 10 bit, which players show and which holds HDR; 12 bit and more HEVC 12 bit. What
    H.264 cannot hold, 4:2:0 of odd size, becomes AV1, or VP9 where a picture is tiny (H.264 4:4:4
    in .mov). WebM gets AV1, or VP9 for 4:2:2 and 4:4:4. RGB and gray pictures become YUV 4:2:0.
    Lossless: FFV1 in Matroska, the exact pixel format kept.

    Args:
        kind: of container.
        info: of the source.
        crf: quality on x264's scale, 0 (best) to 51; mapped to the scale of other encoders.
        lossless: store every bit.
        preset: of x264; by default chosen by picture size.
        pixels: ``8`` makes 8 bit 4:2:0 of everything, which every player shows.
        codec: a name of ``codecs.CODECS`` instead of the choice above; no effect on lossless.
        captions: keep the closed captions that the source's frames carry (ATSC A/53, part 4), where
            the encoder can.

    Raises:
        LipwrightError: ``lossless`` in a container other than Matroska, a pixel format that cannot
            be stored without loss, or a codec that cannot hold the pictures or be in the container.
    """
    chosen = _without_captions(kind, info, crf, lossless, preset, pixels, codec)
    if chosen.codec not in _KEEPS_CAPTIONS:
        return chosen
    # Said either way: libx264 keeps them unless told, and libx265 drops them unless told.
    kept = captions and info.captions
    return replace(chosen, options={**chosen.options, "a53cc": str(int(kept))}, captions=kept)


_KEEPS_CAPTIONS = ("libx264", "libx265")


def _without_captions(
    kind: Kind,
    info: VideoInfo,
    crf: int,
    lossless: bool,
    preset: str | None,
    pixels: Pixels,
    codec: str,
) -> Encoding:
    if not 0 <= crf <= 51:
        raise LipwrightError(f"The quality --crf {crf} is out of range; give a value from 0 to 51.")
    if lossless:
        if pixels != "keep":
            raise LipwrightError("--lossless stores every bit; omit --pixels, or omit --lossless.")
        return _lossless(kind, info)
    width, height = info.width, info.height
    sampling, depth = _sampling(info.pix_fmt), _depth(info.bit_depth)
    if pixels == "8":
        sampling, depth = "420", 8
    fits_h264 = {
        "420": width % 2 == 0 and height % 2 == 0,
        "422": width % 2 == 0,
        "444": True,
    }[sampling]
    if codec != "auto":
        _check_codec(codec, kind, info, fits_h264)
    if codec in ("av1", "vp9", "prores"):
        return _requested(codec, kind, info, sampling, depth, crf)
    if not fits_h264 and kind == "mov":
        sampling = "444"  # QuickTime files hold neither AV1 nor VP9
    elif kind == "webm" or not fits_h264:
        return _free_codec(kind, info, sampling, depth, crf)
    aspect = info.sample_aspect
    deep = depth == 12 or (depth == 10 and sampling == "420" and info.field_order == "progressive")
    if codec == "hevc" or (codec == "auto" and deep and min(width, height) >= _HEVC_MIN_SIDE):
        parameters = {"log-level": "none", **_hdr(info, "master-display", "max-cll")}
        options = {"preset": "superfast", "crf": str(crf), "x265-params": _joined(parameters)}
        tag = "hvc1" if kind in ("mp4", "mov") else None
        pix_fmt = f"yuv{sampling}p" + ("" if depth == 8 else f"{depth}le")
        return Encoding("libx265", pix_fmt, options, (width, height), aspect, tag)
    speed = preset or ("fast" if width * height <= _SMALL_PICTURE else "veryfast")
    pix_fmt = f"yuv{sampling}p" if depth == 8 else f"yuv{sampling}p10le"
    parameters = dict(_REPEATABLE)
    if depth > 8:
        parameters |= _hdr(info, "mastering-display", "cll")
    interlaced = info.field_order != "progressive" and _can_interlace(sampling, height)
    if interlaced:
        # libav tells x264 the order with the first frame, too late for the timing messages (SEI):
        # they would say that the top field is shown first.
        parameters[info.field_order] = "1"
    options = {"preset": speed, "crf": str(crf)}
    if parameters:
        options["x264-params"] = _joined(parameters)
    size = (width, height)
    return Encoding("libx264", pix_fmt, options, size, aspect, interlaced=interlaced)


def losses(info: VideoInfo, kind: Kind, encoding: Encoding) -> list[str]:
    """What of a source this encoding cannot hold, or many players cannot show, in sentences.

    They are known before the job starts and are said then.
    """
    found: list[str] = []
    name, path = encoding.codec, info.path
    if info.has_alpha and not _has_alpha(info):
        found.append(
            f"The transparency of {path} is lost, for it is not read from {info.codec} files; the "
            "colours under it become visible. A source in ProRes 4444 or FFV1 keeps it."
        )
    elif info.has_alpha and not _stores_alpha(encoding.pix_fmt):
        found.append(
            f"The transparency of {path} is lost; the colours under it become visible. A .webm "
            "keeps it, so do --codec prores in a .mov and --lossless in a .mkv."
        )
    if info.field_order != "progressive" and not encoding.interlaced:
        found.append(
            f"{path} is interlaced, which this output cannot say, so that players will show its "
            "lines as combs; use --deinterlace, or write .mp4, .mov or .mkv without --pixels."
        )
    if info.several_edits:
        found.append(
            f"{path} was cut without encoding in several places (its edit list); behind the first "
            "cut its pictures may be read up to a tenth of a second away from its sound. Export it "
            "anew, encoded, from the program that cut it."
        )
    if "two views" in info.views:
        found.append(
            f"{path} says that its pictures hold two views (3D), which the output will not say: "
            "players will show both, and each counts as a face of its own (--face all)."
        )
    if "second view" in info.views:
        found.append(
            f"{path} holds a second view (spatial video), which is not read: the output has the "
            "picture of one eye."
        )
    if "sphere" in info.views:
        found.append(
            f"{path} says that it is a 360 degree video, which the output will not say: players "
            "will show it flat."
        )
    if encoding.fewer_bits:
        found.append(
            f"The pixels of {path} have {info.bit_depth} bits and are stored in 8, for the VP9 "
            "encoder of this installation has no more; --codec hevc keeps them."
        )
    found += _hdr_losses(info, encoding)
    deep = layout_of(encoding.pix_fmt)
    if deep is None:
        return found
    unusual = deep.depth > 8 or (deep.chroma_y == 1 and not deep.is_rgb)
    rare = name == "libx264" and unusual and not encoding.options.get("qp")
    rare |= name == "libx265" and (deep.depth > 10 or deep.chroma_y == 1)
    if rare:
        depth = f"{deep.depth} bit " if deep.depth > 8 else ""
        subsampling = "4:4:4" if deep.chroma_x == 1 else "4:2:2" if deep.chroma_y == 1 else "4:2:0"
        found.append(
            f"The pixels of {path} are kept as {_FORMATS[name]} in {depth}{subsampling}, which "
            "many players and phones cannot show; --pixels 8 makes 8 bit 4:2:0 of them."
        )
    return found


def _has_alpha(info: VideoInfo) -> bool:
    """Whether the decoded planes hold the transparency of a source; those of a GIF do not."""
    return info.has_alpha and _stores_alpha(info.pix_fmt)


def _stores_alpha(pix_fmt: str) -> bool:
    return any(component.is_alpha for component in av.VideoFormat(pix_fmt, 64, 64).components)


_FORMATS = {"libx264": "H.264", "libx265": "HEVC"}


def _hdr_losses(info: VideoInfo, encoding: Encoding) -> list[str]:
    found: list[str] = []
    path = info.path
    kept = encoding.codec in ("libx265", "libsvtav1", "libx264") and _is_deep(encoding.pix_fmt)
    if info.hdr and not kept:
        found.append(
            f"The HDR metadata of {path} (mastering display, content light level) cannot be kept "
            "in this output; .mp4, .mov or .mkv without --lossless and --pixels keeps them."
        )
    if info.colour.transfer in (PQ, HLG) and not _is_deep(encoding.pix_fmt):
        curve = "PQ" if info.colour.transfer == PQ else "HLG"
        found.append(
            f"{path} is HDR ({curve}); in 8 bits its gradients show steps, and it is not converted "
            "to standard range."
        )
    for kind in info.hdr.dynamic:
        if kind == DOVI_5:
            found.append(
                f"The colours of {path} ({kind}) mean something to Dolby Vision players only, and "
                "the output says nothing of that: it will look green and purple; convert the "
                "source to HDR10 or standard range first (ffmpeg's filter libplacebo does)."
            )
        else:
            found.append(
                f"The {kind} metadata of {path} cannot be kept, for they belong to the pixels as "
                "they were; players show the plain HDR picture."
            )
    return found


def _is_deep(pix_fmt: str) -> bool:
    layout = layout_of(pix_fmt)
    return layout is not None and layout.depth > 8


def _can_interlace(sampling: str, height: int) -> bool:
    """H.264 stores fields in pairs of rows, of chroma too."""
    return height % (4 if sampling == "420" else 2) == 0


def _hdr(info: VideoInfo, display: str, light: str, decimal: bool = False) -> dict[str, str]:
    """What is known of the light, under an encoder's names for it."""
    found = {}
    if info.hdr.display is not None:
        found[display] = info.hdr.display.svt() if decimal else info.hdr.display.x265()
    if info.hdr.light is not None:
        found[light] = f"{info.hdr.light[0]},{info.hdr.light[1]}"
    return found


def _joined(parameters: dict[str, str]) -> str:
    return ":".join(f"{key}={value}" for key, value in parameters.items())


def _check_codec(codec: str, kind: Kind, info: VideoInfo, even: bool) -> None:
    """Raise LipwrightError unless ``--codec`` suits the file, this machine and the pictures."""
    known = CODECS[codec]
    if kind not in {KINDS[suffix] for suffix in known.suffixes}:
        raise LipwrightError(
            f"A {kind} file does not hold {codec}; give an output that ends in "
            f"{' or '.join(known.suffixes)}, or another --codec."
        )
    if not encodes(codec):
        raise LipwrightError(
            f"This installation cannot encode {codec}; 'lipwright doctor' lists what it can."
        )
    if codec == "prores":
        check_matrix(info)
    small = codec == "hevc" and min(info.width, info.height) < _HEVC_MIN_SIDE
    if codec in ("h264", "hevc") and (small or not even):
        raise LipwrightError(
            f"{info.path} is {info.width} by {info.height} pixels, which {codec} cannot store; use "
            "--codec auto, vp9 or av1."
        )


def _requested(
    codec: str, kind: Kind, info: VideoInfo, sampling: str, depth: int, crf: int
) -> Encoding:
    """The encodings that only ``--codec`` asks for."""
    size, aspect = (info.width, info.height), info.sample_aspect
    if codec == "prores":
        profile = "4" if sampling == "444" else "3"  # 4444, 422 HQ
        pix_fmt = "yuv444p10le" if sampling == "444" else "yuv422p10le"
        if _has_alpha(info):
            profile, pix_fmt = "4", "yuva444p10le"
        # Neither a ProRes frame nor QuickTime's colour box has a place for the range: readers
        # take the codes for limited ones (SMPTE RDD 36, section 5.1.1).
        return Encoding("prores_ks", pix_fmt, {"profile": profile}, size, aspect, says_range=False)
    if codec == "av1":
        if sampling != "420" or min(size) < _AV1_MIN_SIDE:
            raise LipwrightError(
                f"The AV1 encoder stores 4:2:0 of {_AV1_MIN_SIDE} pixels or more only, unlike "
                f"{info.path}; use --codec vp9."
            )
        return _free_codec(kind, info, sampling, depth, crf)
    speed = {"deadline": "good", "cpu-used": "4"}
    return _vp9(kind, info, sampling, min(depth, 10), crf, speed)


def _free_codec(kind: Kind, info: VideoInfo, sampling: str, depth: int, crf: int) -> Encoding:
    """AV1 or VP9."""
    size, aspect = _square(kind, info)
    if kind == "webm" and _has_alpha(info):
        return _vp9(kind, info, sampling, 8, crf, {"deadline": "realtime", "cpu-used": "7"})
    if (sampling == "420" or depth > 8) and min(size) >= _AV1_MIN_SIDE:
        os.environ.setdefault("SVT_LOG", "1")  # errors only; it writes to the terminal by itself
        options = {"preset": "9", "crf": str(max(1, round(crf * 1.5)))}
        hdr = _hdr(info, "mastering-display", "content-light", True) if depth > 8 else {}
        options |= {"svtav1-params": _joined(hdr)} if hdr else {}
        pix_fmt = "yuv420p" if depth == 8 else "yuv420p10le"
        return Encoding("libsvtav1", pix_fmt, options, size, aspect)
    return _vp9(kind, info, sampling, 8, crf, {"deadline": "realtime", "cpu-used": "7"})


def _vp9(
    kind: Kind, info: VideoInfo, sampling: str, depth: int, crf: int, speed: dict[str, str]
) -> Encoding:
    size, aspect = _square(kind, info)
    # Most builds of libvpx are made without its 10 bits.
    fewer_bits = depth > 8 and not _encodes_format("libvpx-vp9", f"yuv{sampling}p{depth}le")
    depth = 8 if fewer_bits else depth
    options = {**speed, "row-mt": "1", "b": "0", "crf": str(max(1, round(crf * 1.5)))}
    pix_fmt = f"yuv{sampling}p" + ("" if depth == 8 else f"{depth}le")
    if _has_alpha(info) and kind in ("webm", "mkv"):
        pix_fmt = "yuva420p"  # the only form in which VP9 has alpha: as a second picture
    return Encoding("libvpx-vp9", pix_fmt, options, size, aspect, fewer_bits=fewer_bits)


def _encodes_format(codec: str, pix_fmt: str) -> bool:
    return pix_fmt in {f.name for f in av.Codec(codec, "w").video_formats or []}


def _square(kind: Kind, info: VideoInfo) -> tuple[tuple[int, int], Fraction]:
    """Size and sample aspect for the codecs that carry no sample aspect themselves.

    libav's Matroska gets none here either: the picture is stored with square pixels then rather
    than squeezed.
    """
    size, aspect = (info.width, info.height), info.sample_aspect
    if aspect != 1 and kind in ("webm", "mkv"):
        return (max(1, round(info.width * aspect)), info.height), Fraction(1)
    return size, aspect


def _lossless(kind: Kind, info: VideoInfo) -> Encoding:
    if kind != "mkv":
        raise LipwrightError(
            "--lossless writes FFV1 in Matroska; give an output that ends in .mkv."
        )
    size = (info.width, info.height)
    stored = {"gbrp": "bgr0", "gbrap": "bgra"}.get(info.pix_fmt, info.pix_fmt)
    if not _encodes_format("ffv1", stored):
        raise LipwrightError(
            f"{info.path} has the pixel format {info.source_pix_fmt}, which FFV1 cannot hold "
            "without loss; omit --lossless."
        )
    fits_h264 = info.width % 2 == 0 and info.height % 2 == 0
    if info.sample_aspect != 1 and fits_h264 and stored in _X264_FORMATS:
        # Only a codec that carries the sample aspect itself keeps it through libav's Matroska.
        options = {"preset": "veryfast", "qp": "0"}
        return Encoding("libx264", stored, options, size, info.sample_aspect)
    if min(size) < _FFV1_MIN_SIDE:
        options = {"level": "1", "g": "1"}  # too small to be sliced
    else:
        slices = "12" if info.width > 352 or info.height > 288 else "4"
        options = {"level": "3", "g": "1", "slices": slices, "slicecrc": "1"}
    interlaced = info.field_order != "progressive"
    return Encoding("ffv1", stored, options, size, info.sample_aspect, interlaced=interlaced)


_X264_FORMATS = ("yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le")


def _sampling(pix_fmt: str) -> str:
    layout = layout_of(pix_fmt)
    assert layout is not None
    if layout.is_gray or layout.is_rgb:
        return "420"
    if layout.chroma_y == 1:
        return {1: "444", 2: "422"}.get(layout.chroma_x, "420")
    return "444" if layout.chroma_x == 1 else "420"


def _depth(bits: int) -> int:
    if bits <= 8:
        return 8
    return 10 if bits <= 10 else 12
