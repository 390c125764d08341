"""Kill -9 at random moments of a dub: ``python tools/kill_test.py --kills 50``.

A small generated video is dubbed with ``--resume`` in a child process that is killed at a random
moment, again and again; then once more to the end. The result has to hold the very frames of a dub
that nobody killed, nothing may ever lie under the output's name before that, and nothing may be
left beside it. Exits with 1 where any of this does not hold.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]
os.environ.setdefault("OMP_NUM_THREADS", "1")

import av  # noqa: E402
from fuzzing.targets import DarkMouth, FixedTracker  # noqa: E402

from lipwright.dubbing import job  # noqa: E402
from lipwright.dubbing.options import DubOptions  # noqa: E402
from tests.dubbing.clips import write_speech, write_video  # noqa: E402

FRAMES, RATE = 400, 25


def dub(folder: Path, out: str) -> None:
    """The job, in this process."""
    options = DubOptions(manifest=False, watermark=False, resume=True, length="video")
    video, speech = folder / "v.mp4", folder / "s.wav"
    job.dub(video, speech, folder / out, options, method=DarkMouth(), tracker=FixedTracker())


def start(folder: Path, out: str) -> int:
    """The job in a child; returns its process id."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            dub(folder, out)
            code = 0
        except BaseException as error:
            print(repr(error)[:300], file=sys.stderr, flush=True)
        finally:
            os._exit(code)
    return pid


def frames(path: Path) -> list[int]:
    """Checksums of all decoded frames."""
    with av.open(str(path)) as container:
        return [hash(bytes(f.planes[0])) for f in container.decode(video=0)]


def run(folder: Path, kills: int, seed: int) -> list[str]:
    """Kill a job so many times; what went wrong, in words."""
    rng, wrong = random.Random(seed), []
    write_video(folder / "v.mp4", FRAMES, (96, 96))
    write_speech(folder / "s.wav", FRAMES / RATE)
    os.environ["LIPWRIGHT_HOME"] = str(folder / "home")
    os.environ["LIPWRIGHT_CACHE"] = str(folder / "cache")
    began = time.monotonic()
    os.waitpid(start(folder, "whole.mp4"), 0)
    whole = time.monotonic() - began
    expected, done, jobs = frames(folder / "whole.mp4"), 0, 0
    while done < kills:
        out = folder / f"out{jobs}.mp4"
        jobs += 1
        for _ in range(rng.randrange(1, 4)):  # some jobs are killed several times
            pid = start(folder, out.name)
            time.sleep(rng.uniform(0.0, whole))
            os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            done += os.WIFSIGNALED(status)
            if out.exists() and frames(out) != expected:
                wrong.append(f"a half file after kill {done}")
        if os.waitstatus_to_exitcode(os.waitpid(start(folder, out.name), 0)[1]) != 0:
            wrong.append(f"the job did not go on after kill {done}")
        elif frames(out) != expected:
            wrong.append(f"other frames after kill {done}")
        left = [p.name for p in folder.iterdir() if p.name.startswith(f".{out.name}")]
        if left:
            wrong.append(f"left after kill {done}: {', '.join(left)}")
        out.unlink(missing_ok=True)
    print(f"{done} kills in {jobs} jobs of {len(expected)} frames, {len(wrong)} faults")
    return wrong


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lipwright-kill-") as folder:
        wrong = run(Path(folder), chosen.kills, chosen.seed)
    for line in wrong:
        print(f"FAULT {line}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
