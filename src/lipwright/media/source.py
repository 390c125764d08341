"""Opening media files that may be anything: damaged, hostile, not media at all.

Every file that enters Lipwright comes through :func:`open_media`, so that whatever is wrong with
it ends in one sentence. Only local files and only formats that hold pictures or sound are opened:
play-lists that point elsewhere and the demuxer that draws text files as video are refused.
"""

from __future__ import annotations

import contextlib
import logging
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import av.container
import av.error

from lipwright.errors import LipwrightError, system_errors
from lipwright.media.appended_matroska import OneSegment, appended
from lipwright.media.stills import as_animated_png, as_png, is_animated_webp, is_photograph

log = logging.getLogger(__name__)

# Leave av.logging at its default (None, silent). Any other level makes libav's decoding threads
# wait for Python's global lock while close() holds it and waits for them: a deadlock.

CONTAINERS = (
    "mov,mp4,matroska,webm,avi,mpeg,mpegts,mpegvideo,m4v,h264,hevc,vc1,ivf,obu,av1,flv,asf,ogg,"
    "mxf,nut,rm,dv,gxf,y4m,yuv4mpegpipe,mjpeg,mjpeg_2000,gif,apng,wtv,3gp,swf,roq,smk,bink,"
    "wav,w64,aiff,au,caf,mp3,aac,flac,ac3,eac3,dts,truehd,amr,amrnb,amrwb,ape,wv,tta,mpc,mpc8,"
    "tak,voc,loas,latm,opus,spx,sox,nist,dsf,gsm,g722,sln,ilbc,qcp,dss,"
    "image2,bmp_pipe,dds_pipe,dpx_pipe,exr_pipe,gif_pipe,hdr_pipe,j2k_pipe,jpeg_pipe,jpegls_pipe,"
    "jpegxl_pipe,jpegxl_anim,pam_pipe,pbm_pipe,pcx_pipe,pgm_pipe,png_pipe,ppm_pipe,psd_pipe,"
    "qoi_pipe,sgi_pipe,sunrast_pipe,tiff_pipe,webp_pipe,webp,xbm_pipe,xpm_pipe"
)
_HEADERLESS = {
    **dict.fromkeys((".ulaw", ".ul", ".mulaw", ".pcmu"), "mulaw -ar 8000"),
    **dict.fromkeys((".alaw", ".al", ".pcma"), "alaw -ar 8000"),
    **dict.fromkeys((".raw", ".pcm", ".sln16"), "s16le -ar 16000"),
}
"""Bare samples of telephones and dictation, and what they usually are, for ffmpeg."""
_ADDRESS = re.compile(r"(https?|ftps?|s3|gs|rtsp|rtmp):/+(.+)")  # a Path has lost one slash

_OPTIONS = {
    "format_whitelist": CONTAINERS,
    "protocol_whitelist": "file",
}


def check_file(path: Path, what: str) -> None:
    """Raise LipwrightError unless ``path`` is a readable, non-empty, ordinary file.

    Args:
        path: the file.
        what: what the caller calls it, for the message: "video", "speech file".
    """
    with system_errors(
        f"The {what} {path} cannot be read",
        "check its name and permissions",
        kinds=(OSError, ValueError),
    ):
        if path.is_dir():
            raise LipwrightError(
                f"The {what} {path} is a folder; give the path of a file inside it."
            )
        if not path.exists():
            address = _ADDRESS.match(str(path))
            if address:
                raise LipwrightError(
                    f"The {what} {address[1]}://{address[2]} is an address on the network; "
                    "download it first and give the file."
                )
            raise LipwrightError(f"The {what} {path} does not exist; check the path.")
        if not path.is_file():
            raise LipwrightError(
                f"The {what} {path} is not an ordinary file; copy it to a file first."
            )
        if path.stat().st_size == 0:
            raise LipwrightError(f"The {what} {path} is empty (0 bytes); give a complete file.")
        with path.open("rb"):
            pass


@contextmanager
def open_media(
    path: str | Path, what: str, **options: str
) -> Iterator[av.container.InputContainer]:
    """Open a local media file for reading and close it at the end.

    Args:
        path: the file.
        what: what the caller calls it, for the messages: "video", "speech file".
        options: for libav's demuxer.

    Raises:
        LipwrightError: the file is missing, empty, unreadable or no media file.
    """
    path = Path(path)
    check_file(path, what)
    joined = None
    try:
        parts = appended(path)
        if parts is not None:
            joined = OneSegment(path, parts)
            container = av.open(joined, mode="r", options=_OPTIONS, metadata_errors="replace")
        elif is_photograph(path):
            container = av.open(as_png(path, what), mode="r", format="png_pipe")
        elif is_animated_webp(path):
            container = av.open(as_animated_png(path, what), mode="r", format="apng")
        else:
            container = av.open(
                f"file:{path.absolute()}",
                mode="r",
                options={**_OPTIONS, **options},
                metadata_errors="replace",
            )
    except (av.error.FFmpegError, ValueError, OSError) as error:
        log.debug("cannot open %s", path, exc_info=True)
        if joined is not None:
            joined.close()
        guess = _HEADERLESS.get(path.suffix.lower())
        if guess is not None:
            names = f"{shlex.quote(path.name)} {shlex.quote(path.stem + '.wav')}"
            raise LipwrightError(
                f"The {what} {path} has no header that says its format and rate; make a WAV file "
                f"of it, if it is what such files usually are, by: ffmpeg -f {guess} -i {names}"
            ) from error
        raise LipwrightError(
            f"The {what} {path} is not a media file that can be read, or it is damaged from the "
            "start; check that it plays, and convert it to MP4 or WAV."
        ) from error
    try:
        yield container
    finally:
        container.close()
        if joined is not None:
            joined.close()


def readable_packets(container: av.container.InputContainer, *streams: Any) -> Iterator[Any]:
    """As :func:`packets_of`, up to the end or to where the file breaks off."""
    with contextlib.suppress(av.error.FFmpegError, OSError):
        yield from packets_of(container, *streams)


def packets_of(container: av.container.InputContainer, *streams: Any) -> Iterator[Any]:
    """The packets of some streams, or of all; like ``container.demux``.

    A transport stream, above all a damaged one, may name a further stream after its beginning.
    PyAV does not know it and ends with an IndexError at its packet; reading goes on behind that.

    Raises:
        av.error.FFmpegError: the file cannot be read any further.
    """
    while True:
        try:
            yield from container.demux(*streams)
            return
        except IndexError:
            log.debug("a packet of a stream that appeared on the way", exc_info=True)
