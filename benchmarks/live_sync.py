"""Are picture and sound of a call in step on the page? A flash with every beep, nothing drawn.

    python benchmarks/live_sync.py [--seconds 20] [--settle 0]

A server whose face is a grey card that turns white while its sound beeps is called by headless
Chromium, whose microphone beeps every 1.013 s. The page notes when a frame is due on the screen
(``requestVideoFrameCallback``) and when the beep passes an ``AnalyserNode``; the browser's own
recording is looked at, too. What is sent is what a call sends; only the drawing is replaced, so
that a busy machine shows every frame. Needs chromium, chromedriver, selenium and the extras serve
and live.
"""

from __future__ import annotations

import argparse
import base64
import os
import tempfile
import threading
import time
import wave
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import uvicorn
from numpy.typing import NDArray
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from clips import machine
from lipwright.live.call import Call
from lipwright.live.listener import Listener
from lipwright.live.report import LiveReport
from lipwright.media.audio import load_speech
from lipwright.media.mel import SAMPLE_RATE
from lipwright.media.planes import plane_views
from lipwright.media.sound import Sound
from lipwright.methods.registry import load_method
from lipwright.serving import live as service
from lipwright.serving.application import Application
from lipwright.serving.settings import Settings
from live_call import KEEP_PEER, browser_with, free_port, wait_for

PERIOD, BEEP = 1.013, 0.1
LOUD = 0.05
SIZE = (640, 480)
FARTHEST = 0.45

WATCH = """
const [seconds, done] = arguments, face = document.querySelector('#face');
const found = { frames: [], sound: [], apart: [] };
const paper = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
const analyser = new AudioContext().createAnalyser();
analyser.fftSize = 256;
analyser.context.createMediaStreamSource(face.srcObject).connect(analyser);
const wave = new Float32Array(256);
const hear = setInterval(() => {
  analyser.getFloatTimeDomainData(wave);
  found.sound.push([performance.now(), Math.max(...wave.map(Math.abs))]);
}, 3);
const look = (now, about) => {
  paper.drawImage(face, 0, 0, 8, 6);
  found.frames.push([about.expectedDisplayTime, paper.getImageData(4, 3, 1, 1).data[1]]);
  face.requestVideoFrameCallback(look);
};
face.requestVideoFrameCallback(look);
const ask = setInterval(async () => {
  const at = {};
  (await window.peer.getStats()).forEach((one) => {
    if (one.type === 'inbound-rtp') at[one.kind] = one.estimatedPlayoutTimestamp;
  });
  if (at.audio && at.video) found.apart.push(at.audio - at.video);
}, 500);
const recorder = new MediaRecorder(face.srcObject), parts = [];
recorder.ondataavailable = (event) => parts.push(event.data);
recorder.onstop = () => {
  const reader = new FileReader();
  reader.onload = () => done({ ...found, recording: reader.result.split(',')[1] });
  reader.readAsDataURL(new Blob(parts));
};
recorder.start();
setTimeout(() => { clearInterval(hear); clearInterval(ask); recorder.stop(); }, seconds * 1000);
"""


class Card:
    """A drawer of grey frames that are white while their sound beeps."""

    def __init__(self) -> None:
        self._level: list[NDArray[np.float32]] = []
        self._lock = threading.Lock()

    def hear(self, sound: Sound) -> None:
        """Sound of the session that follows."""
        with self._lock:
            self._level.append(np.abs(sound.samples).max(axis=0))

    def frame(self, k: int, when: Fraction) -> av.VideoFrame:
        """See ``engine.Drawer``: white if the frame's moment, 20 ms either side, is loud."""
        with self._lock:
            self._level = [np.concatenate(self._level)]
            middle = round(when * 48_000)
            loud = self._level[0][max(0, middle - 960) : middle + 960].max() > LOUD
        made = av.VideoFrame(*SIZE, "yuv420p")
        for plane, code in zip(plane_views(made), (235 if loud else 60, 128, 128), strict=True):
            plane[:] = code
        return made


class CardService(service.CallService):
    """Calls whose face is the card."""

    def _prepare(self) -> Call:
        method = load_method("vq")
        listener, card = Listener(method), Card()
        feed = listener.feed

        def heard(sound: Sound) -> None:
            card.hear(sound)
            feed(sound)

        listener.feed = heard  # type: ignore[method-assign]
        ahead = float(listener.look_ahead)
        report = LiveReport("card", "the call", [], look_ahead=ahead, delay=ahead + 0.2)

        def ended(report: LiveReport) -> None:
            self.reports.append(report)
            self.call = None
            self._lock.release()

        return Call(card, listener, report, ended)  # type: ignore[arg-type]


def beeps(path: Path) -> Path:
    """A minute of beeps, so that the microphone seldom repeats its file."""
    count, rate = round(48_000 * PERIOD), 48_000
    one = np.zeros(count, np.int16)
    tone = 12_000 * np.sin(2 * np.pi * 1_000 * np.arange(round(rate * BEEP)) / rate)
    one[rate // 2 : rate // 2 + tone.size] = tone.astype(np.int16)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.tile(one, 60).tobytes())
    return path


def watched(folder: Path, seconds: float, settle: float) -> dict[str, Any]:
    """Make the call, and give what the page noted."""
    service.CallService = CardService  # type: ignore[misc]
    face = folder / "card.png"
    cv2.imwrite(str(face), np.full((64, 64, 3), 128, np.uint8))
    settings = Settings(data=folder / "data", port=free_port(), live_face=face)
    app = Application(settings, workers=False)
    server = uvicorn.Server(uvicorn.Config(app.asgi, port=settings.port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(settings.port)
        browser = browser_with(beeps(folder / "beeps.wav"), folder / "profile")
        try:
            browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": KEEP_PEER})
            browser.get(f"http://127.0.0.1:{settings.port}/live")
            browser.find_element(By.CSS_SELECTOR, "#call").click()
            WebDriverWait(browser, 120).until(
                lambda b: b.execute_script("return document.querySelector('#face').videoWidth")
            )
            time.sleep(settle)
            browser.set_script_timeout(seconds + 60)
            return dict(browser.execute_async_script(WATCH, seconds))
        finally:
            browser.quit()
    finally:
        server.should_exit = True
        thread.join(30)


def onsets(times: NDArray[np.float64], values: NDArray[np.float64], level: float) -> list[float]:
    """When values rise above a level."""
    above = values > level
    return [float(t) for t in times[1:][above[1:] & ~above[:-1]]]


def apart(lips: list[float], sound: list[float]) -> str:
    """By how many milliseconds flashes are after their beeps: mean, and the most of any."""
    found = [min((t - beep for t in lips), key=abs) for beep in sound] if lips else []
    near = 1e3 * np.array([lag for lag in found if abs(lag) < FARTHEST])
    if not near.size:
        return "unknown"
    return f"{near.mean():+.0f} ({near.min():+.0f} to {near.max():+.0f}, {near.size} beeps)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--settle", type=float, default=0.0, help="seconds of the call before that")
    options = parser.parse_args()
    print(f"{machine()}, load {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        found = watched(Path(scratch), options.seconds, options.settle)
        recording = Path(scratch) / "call.webm"
        recording.write_bytes(base64.b64decode(found["recording"]))
        with av.open(str(recording)) as container:
            shown = np.array(
                [
                    (float(f.pts * f.time_base), plane_views(f)[0].mean())
                    for f in container.decode(video=0)
                ]
            )
        samples = np.abs(load_speech(recording))
    steps = samples[: samples.size // 32 * 32].reshape(-1, 32).max(axis=1)
    frames, sound = np.array(found["frames"]), np.array(found["sound"])
    on_page = apart(
        onsets(frames[:, 0] / 1e3, frames[:, 1], 150.0),
        onsets(sound[:, 0] / 1e3, sound[:, 1], LOUD),
    )
    recorded = apart(
        onsets(shown[:, 0], shown[:, 1], 150.0),
        onsets(32 / SAMPLE_RATE * np.arange(steps.size), steps.astype(np.float64), LOUD),
    )
    by_browser = np.array(found["apart"]) if found["apart"] else np.array([np.nan])
    print("| flash - beep on the page, ms | in the recording, ms | as the browser says, ms |")
    print("|---|---|---|")
    print(f"| {on_page} | {recorded} | {by_browser.mean():+.0f} |")


if __name__ == "__main__":
    main()
