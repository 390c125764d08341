// One job: progress while it runs, both videos in step when it is done.
import { clock, describe, follow, post, remove, say, setProgress, share } from "./common.js";

const place = document.querySelector("#job");
const id = place.dataset.job;
const on = (name, act) => document.querySelector(name)?.addEventListener("click", act);

if (["queued", "running"].includes(place.dataset.state)) {
  const bar = document.querySelector("#progress");
  const stage = document.querySelector("#stage");
  const badge = place.querySelector(".badge");
  let told = 0;
  follow(id, (job) => {
    setProgress(bar, share(job));
    badge.className = `badge ${job.state}`;
    badge.textContent = { queued: "Waiting", running: "Running" }[job.state] ?? job.state;
    const now = performance.now();
    if (now - told > 1000) { say(stage, describe(job)); told = now; }  // not more than can be read
  }).then(() => location.reload());
}

on("#cancel", async (event) => {
  event.currentTarget.disabled = true;
  await post(`/jobs/${id}/cancel`).catch((error) => say(document.querySelector("#stage"), error.message, true));
});
on("#retry", async () => { await post(`/jobs/${id}/retry`); location.reload(); });
on("#delete", async (event) => {
  const button = event.currentTarget;
  if (button.dataset.sure === undefined) {
    button.dataset.sure = "";
    button.textContent = "Really delete it?";
    return;
  }
  await remove(`/jobs/${id}`);
  location.href = "/jobs";
});

on("#verify", async (event) => {
  const button = event.currentTarget;
  const status = document.querySelector("#verify-status");
  const list = document.querySelector("#verified");
  button.disabled = true;
  say(status, "Reading manifest and watermark …");
  try {
    const job = await post("/verifications", { job: id });
    const done = await follow(job.id, () => {});
    if (done?.state !== "done") throw new Error(done?.error || "It could not be verified.");
    say(status, { valid: "Valid: marks were found and nothing contradicts them.", nothing: "Neither manifest nor watermark was found.", broken: "Broken: the manifest does not hold." }[done.result.status]);
    list.replaceChildren(...done.result.sentences.map((line) => Object.assign(document.createElement("li"), { textContent: line })));
    list.hidden = false;
  } catch (error) {
    say(status, error.message, true);
  } finally {
    button.disabled = false;
  }
});

// One play button for both; the result leads, the source follows.

const result = document.querySelector("#result");
const source = document.querySelector("#source");
if (result) {
  const play = document.querySelector("#play");
  const seek = document.querySelector("#seek");
  const time = document.querySelector("#clock");
  const mute = document.querySelector("#mute");
  const NEAR = 0.06;  // seconds; a frame and a half
  let seeking = false;

  const sourceTime = (t) => Math.min(t, Math.max(0, (source?.duration || 0) - 0.001));
  function align(exact) {
    if (!source || !source.duration) return;
    const wanted = sourceTime(result.currentTime);
    if (exact || Math.abs(source.currentTime - wanted) > NEAR) source.currentTime = wanted;
    const ended = result.currentTime >= source.duration;
    if (result.paused || ended) source.pause();
    else if (source.paused) source.play().catch(() => {});
  }
  function showTime() {
    const length = result.duration || 0;
    if (!seeking) seek.value = length ? result.currentTime / length : 0;
    seek.setAttribute("aria-valuetext", `${result.currentTime.toFixed(1)} of ${length.toFixed(1)} seconds`);
    time.textContent = `${clock(result.currentTime)} / ${clock(length)}`;
  }
  function toggle() { if (result.paused) result.play().catch(() => {}); else result.pause(); }
  play.addEventListener("click", toggle);
  for (const video of [result, source]) video?.addEventListener("click", toggle);
  result.addEventListener("play", () => { play.textContent = "❚❚"; play.setAttribute("aria-label", "Pause"); align(true); step(); });
  result.addEventListener("pause", () => { play.textContent = "▶"; play.setAttribute("aria-label", "Play"); align(true); });
  result.addEventListener("ended", () => align(true));
  result.addEventListener("loadedmetadata", showTime);
  result.addEventListener("timeupdate", () => { align(false); showTime(); });
  function step() { showTime(); if (!result.paused) requestAnimationFrame(step); }
  seek.addEventListener("input", () => { seeking = true; result.currentTime = seek.value * (result.duration || 0); align(true); showTime(); });
  seek.addEventListener("change", () => { seeking = false; });
  mute.addEventListener("click", () => {
    result.muted = !result.muted;
    mute.setAttribute("aria-pressed", String(result.muted));
  });
  for (const video of [result, source]) {
    video?.addEventListener("error", () => { document.querySelector("#unplayable").hidden = false; });
  }
  showTime();
}
