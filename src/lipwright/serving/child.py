"""Work on files that nobody trusts yet, in a process of its own with limits.

    python -m lipwright.serving.child probe FILE POSTER.jpg    # prints one JSON object
    python -m lipwright.serving.child sample FOLDER

A file that makes a library crash, loop or eat memory ends this process and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

MEMORY = 3 << 30
CPU_SECONDS = 30
LARGEST_FILE = 256 << 20
POSTER_SIDE = 960


def limit(memory: int = MEMORY, cpu: int = CPU_SECONDS, file: int = LARGEST_FILE) -> None:
    """Limit this process where the system can do that: address space, time, size of files."""
    try:
        import resource
    except ImportError:  # Windows: the time limit of the parent remains
        return
    wanted = {"RLIMIT_AS": memory, "RLIMIT_CPU": cpu, "RLIMIT_FSIZE": file, "RLIMIT_CORE": 0}
    for name, value in wanted.items():
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(getattr(resource, name), (value, value))


def probe(path: Path, poster: Path) -> dict[str, Any]:
    """What a file is.

    Args:
        path: the file.
        poster: a small JPEG of the first picture is written here, if there is one.

    Returns:
        ``kind`` (video, picture or sound), ``seconds``, ``sound``, and of a video or picture
        ``width``, ``height``, ``fps``, ``codec``.

    Raises:
        LipwrightError: it holds neither pictures nor sound.
    """
    from av.stream import Disposition

    from lipwright.errors import LipwrightError
    from lipwright.media.info import probe as look
    from lipwright.media.source import open_media

    with open_media(path, "file") as container:
        has_pictures = any(
            not s.disposition & Disposition.attached_pic for s in container.streams.video
        )
        sound = bool(container.streams.audio)
        if not has_pictures and not sound:
            raise LipwrightError("The file holds neither pictures nor sound.")
    facts: dict[str, Any] = {"kind": "sound", "sound": sound}
    if has_pictures:
        info = look(path)
        width, height = info.display_size
        facts |= {
            "kind": "picture" if info.is_still else "video",
            "width": width,
            "height": height,
            "fps": round(float(info.average_rate), 3),
            "codec": info.codec,
        }
        write_poster(path, poster)
    if facts["kind"] == "picture":
        return {**facts, "seconds": 0.0, "sound": False}
    return {**facts, "seconds": round(float(length(path)), 3)}


def length(path: Path) -> Fraction:
    """Seconds of a file by its packets, which a header that lies does not change.

    Raises:
        LipwrightError: it has no length.
    """
    import av

    from lipwright.errors import LipwrightError
    from lipwright.media.source import open_media, packets_of

    first: dict[int, Fraction] = {}
    last: dict[int, Fraction] = {}
    with open_media(path, "file") as container, contextlib.suppress(av.error.FFmpegError):
        for packet in packets_of(container):
            stamp = packet.pts if packet.pts is not None else packet.dts
            if stamp is None or packet.time_base is None:
                continue
            if packet.stream.type not in ("video", "audio"):
                continue
            base = Fraction(packet.time_base)
            begin, end = stamp * base, (stamp + (packet.duration or 0)) * base
            index = packet.stream_index
            first[index] = min(first.get(index, begin), begin)
            last[index] = max(last.get(index, end), end)
    lengths = [last[index] - first[index] for index in first]
    if not lengths or max(lengths) <= 0:
        raise LipwrightError("The file holds no pictures or sound that can be read.")
    return max(lengths)


def write_poster(path: Path, poster: Path) -> None:
    """The first picture of a file as a small JPEG, upright."""
    from lipwright.dubbing.contact_sheet import save_picture
    from lipwright.media.reader import VideoReader

    with VideoReader(path) as reader:
        for frame in reader:
            rgb, _ = frame.thumbnail(POSTER_SIDE)
            save_picture(rgb, poster)
            return


def sample(folder: Path) -> dict[str, Any]:
    """The bundled portrait in motion and the bundled speech."""
    from importlib import resources

    from lipwright.demo import make_video, speech_samples

    sound = resources.files("lipwright").joinpath("assets", "speech.ogg").read_bytes()
    (folder / "sample-speech.ogg").write_bytes(sound)
    samples, rate = speech_samples()
    make_video(folder / "sample-portrait.mp4", len(samples) / rate, (720, 480))
    return {"video": "sample-portrait.mp4", "speech": "sample-speech.ogg"}


def main() -> None:
    """Do what the arguments say, print one JSON object."""
    from lipwright.errors import LipwrightError

    task, *names = sys.argv[1:]
    paths = [Path(name) for name in names]
    if task == "probe":
        limit()
    try:
        found = probe(paths[0], paths[1]) if task == "probe" else sample(paths[0])
    except LipwrightError as error:
        # The file's place on the server is nobody's business.
        found = {"error": error.sentence.replace(str(paths[0]), paths[0].name)}
    except MemoryError:
        found = {"error": "The file needs more memory than an upload may have."}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
