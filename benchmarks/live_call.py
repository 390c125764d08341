"""A call in headless Chromium: does the mouth on the page do what an offline dub's mouth does?

    python benchmarks/live_call.py [--face VIDEO] [--speech FILE] [--seconds 15]
        [--ice-servers FILE] [--relay] [--out FOLDER]

Starts ``lipwright serve --live-face``, opens the page of calls in Chromium with a file as its
microphone, and records picture and sound that come back with the browser's own MediaRecorder. The
opening of the mouth in that recording is then compared with that of ``dub`` (no stage 2, no
adaptation, as live has neither) on the same face and speech: the highest correlation over shifts.
The shift between the two sounds is found by their envelopes, so that what is left is how far lips
and sound are apart. The recorder takes pictures before they wait for their time on the screen, so
what the browser itself says (the capture times that it plays, by the sender reports) is told, too.
With --relay the browser may use TURN servers only. Needs chromium, chromedriver, selenium and the
extras serve and live.
"""

from __future__ import annotations

import argparse
import base64
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from clips import machine, make_clip, make_speech
from lipwright.evaluation.faces import watch
from lipwright.media.audio import load_speech

STEP = 0.01
"""Seconds of the grid on which curves are compared."""
FARTHEST = 3.0

KEEP_PEER = """
const Peer = window.RTCPeerConnection;
window.RTCPeerConnection = function (about) { return (window.peer = new Peer(about)); };
"""
RECORD = """
const done = arguments[1];
const apart = [];
const look = setInterval(async () => {
  const at = {};
  (await window.peer.getStats()).forEach((one) => {
    if (one.type === 'inbound-rtp') at[one.kind] = one.estimatedPlayoutTimestamp;
  });
  if (at.audio && at.video) apart.push(at.audio - at.video);
}, 500);
const recorder = new MediaRecorder(document.querySelector('#face').srcObject);
const parts = [];
recorder.ondataavailable = (event) => parts.push(event.data);
recorder.onstop = () => {
  const reader = new FileReader();
  reader.onload = () => done({ apart, recording: reader.result.split(',')[1] });
  reader.readAsDataURL(new Blob(parts));
  clearInterval(look);
};
recorder.start();
setTimeout(() => recorder.stop(), arguments[0] * 1000);
"""
RELAY_ONLY = """
const Own = window.RTCPeerConnection;
window.RTCPeerConnection = function (about) {
  return new Own({ ...about, iceTransportPolicy: 'relay' });
};
"""


def call(
    face: Path, speech: Path, seconds: float, ice: Path | None, relay: bool, out: Path
) -> tuple[dict[str, Any], list[float]]:
    """Make the call; leaves call.webm and call.png in ``out``.

    Returns:
        The server's report of it, and every half second by how many milliseconds the browser says
        that it plays lips after their sound.
    """
    port = free_port()
    command = [sys.executable, "-m", "lipwright", "serve", "--port", str(port)]
    command += ["--data", str(out / "data"), "--live-face", str(face)]
    command += ["--ice-servers", str(ice)] if ice is not None else []
    with (out / "server.log").open("wb") as log:
        server = subprocess.Popen(command, stderr=log)
    try:
        wait_for(port)
        browser = browser_with(speech, out / "profile")
        try:
            for source in (RELAY_ONLY, KEEP_PEER) if relay else (KEEP_PEER,):
                browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": source})
            browser.get(f"http://127.0.0.1:{port}/live")
            browser.find_element(By.CSS_SELECTOR, "#call").click()
            WebDriverWait(browser, 120).until(
                lambda b: b.execute_script("return document.querySelector('#face').videoWidth")
            )
            time.sleep(3.0)  # the browser's own buffers have settled
            browser.set_script_timeout(seconds + 60)
            found = browser.execute_async_script(RECORD, seconds)
            (out / "call.webm").write_bytes(base64.b64decode(found["recording"]))
            browser.save_screenshot(str(out / "call.png"))
            browser.find_element(By.CSS_SELECTOR, "#hang-up").click()
            last = WebDriverWait(browser, 60).until(
                lambda b: b.execute_async_script(
                    "const done = arguments[0];"
                    "fetch('/api/v1/live').then(r => r.json()).then(s => done(s.last));"
                )
            )
            return dict(last), list(found["apart"])
        finally:
            browser.quit()
    finally:
        server.terminate()
        server.wait(30)


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for(port: int) -> None:
    """Wait until somebody listens."""
    for _ in range(600):
        with socket.socket() as trial:
            if trial.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit("the server did not start within a minute")


def browser_with(speech: Path, profile: Path) -> Any:
    """Headless Chromium with a file as its microphone."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for word in (
        "headless=new",
        "no-sandbox",
        "disable-dev-shm-usage",
        "autoplay-policy=no-user-gesture-required",
        "mute-audio",
        f"user-data-dir={profile}",
        "use-fake-ui-for-media-stream",
        "use-fake-device-for-media-stream",
        f"use-file-for-fake-audio-capture={speech}",
    ):
        options.add_argument(f"--{word}")
    return webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver") or ""))


def envelope(path: Path) -> NDArray[np.float64]:
    """Loudness on the grid, smoothed over 50 ms."""
    samples = load_speech(path)
    block = round(16_000 * STEP)
    whole = samples[: samples.size // block * block].reshape(-1, block)
    level = np.sqrt((whole.astype(np.float64) ** 2).mean(1))
    return np.convolve(level, np.ones(5) / 5, "same")


def openings(path: Path) -> NDArray[np.float64]:
    """Opening of the mouth on the grid."""
    series = watch(path)
    known = series.found
    grid = np.arange(series.times[known][0], series.times[known][-1], STEP)
    before = round(series.times[known][0] / STEP)
    curve = np.interp(grid, series.times[known], series.opening[known])
    return np.concatenate([np.full(before, curve[0]), curve])


def best_shift(
    curve: NDArray[np.float64], truth: NDArray[np.float64], around: float, reach: float
) -> tuple[float, float]:
    """Highest correlation of ``curve(t)`` with a periodic ``truth(t + shift)``, and the shift."""
    found = []
    for step in range(round((around - reach) / STEP), round((around + reach) / STEP) + 1):
        wanted = truth[(np.arange(curve.size) + step) % truth.size]
        found.append((float(np.corrcoef(curve, wanted)[0, 1]), step * STEP))
    return max(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--face", type=Path, help="video of the person; the bundled portrait else")
    parser.add_argument("--speech", type=Path, help="a WAV file; the bundled speech else")
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--ice-servers", type=Path)
    parser.add_argument("--relay", action="store_true")
    parser.add_argument("--out", type=Path, help="folder that keeps recording and screenshot")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        out = options.out or Path(scratch)
        out.mkdir(parents=True, exist_ok=True)
        face = options.face or make_clip(Path(scratch), "480p", 5)
        speech = options.speech or make_speech(Path(scratch), 8)
        print(f"{machine()}, load {os.getloadavg()[0]:.1f}", flush=True)
        last, apart = call(face, speech, options.seconds, options.ice_servers, options.relay, out)
        dub = [sys.executable, "-m", "lipwright", "dub", str(face), str(speech)]
        dub += ["-o", str(out / "dub.mp4"), "--enhance", "none", "--adapt", "off", "--overwrite"]
        subprocess.run(dub, check=True)
        # The microphone repeats its file, so the offline curves are periodic.
        told, heard = envelope(speech), envelope(out / "call.webm")
        length = told.size
        agreed, shift = best_shift(heard, told, told.size * STEP / 2, told.size * STEP / 2)
        offline, shown = openings(out / "dub.mp4")[:length], openings(out / "call.webm")
        offline = np.pad(offline, (0, length - offline.size), mode="edge")
        r, lips = best_shift(shown[: heard.size], offline, shift, 0.3)
    columns = ("face", "recorded, s", "frames/s", "skipped", "sound r", "opening r")
    columns += ("lips - sound in the recording, ms", "as the browser plays them, ms")
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    cells = (
        face.stem[:24],
        f"{options.seconds:g}",
        f"{last['frames'] / last['seconds']:.1f}",
        f"{100 * last['skipped_share']:.1f} %",
        f"{agreed:.2f}",
        f"{r:.2f}",
        f"{1e3 * (shift - lips):+.0f}",
        f"{np.mean(apart):+.0f}" if apart else "unknown",
    )
    print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
