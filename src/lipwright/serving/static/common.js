// What all pages share: requests, uploads, following a job, times.

export class Refused extends Error {}

async function answer(response) {
  const text = await response.text();
  let data = null;
  try { data = text ? JSON.parse(text) : null; } catch { /* not ours */ }
  if (!response.ok) throw new Refused(data?.detail ?? `The server answers ${response.status}.`);
  return data;
}

async function ask(address, options) {
  try {
    return await answer(await fetch(address, options));
  } catch (error) {
    if (error instanceof Refused) throw error;
    throw new Refused("The server does not answer; is it still running?");
  }
}

export const get = (path) => ask(`/api/v1${path}`);
export const remove = (path) => ask(`/api/v1${path}`, { method: "DELETE" });
export function post(path, body) {
  const options = { method: "POST" };
  if (body !== undefined) {
    // A random key: a request that is sent twice makes one job.
    options.headers = { "Content-Type": "application/json", "Idempotency-Key": randomKey() };
    options.body = JSON.stringify(body);
  }
  return ask(`/api/v1${path}`, options);
}

function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16)).join("-");
}

// Send a file; fetch() cannot tell how much of it is sent.
export function upload(file, name, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/api/v1/files?name=${encodeURIComponent(name)}`);
    request.setRequestHeader("Content-Type", file.type.split(";")[0] || "application/octet-stream");
    request.upload.onprogress = (event) => progress(event.loaded / event.total);
    request.onload = () => {
      let data = {};
      try { data = JSON.parse(request.responseText); } catch { /* not ours */ }
      if (request.status < 300) resolve(data);
      else reject(new Refused(data.detail ?? `The server answers ${request.status}.`));
    };
    request.onerror = () => reject(new Refused("The upload broke off; try again."));
    request.send(file);
  });
}

// Call `changed` with the job at every change; the promise gives the ended job.
export function follow(id, changed) {
  return new Promise((resolve) => {
    const stream = new EventSource(`/api/v1/jobs/${id}/events`);
    stream.addEventListener("job", (event) => changed(JSON.parse(event.data)));
    stream.addEventListener("end", (event) => {
      stream.close();
      resolve(JSON.parse(event.data));
    });
  });
}

export function clock(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

export function describe(job) {
  if (job.state === "queued") {
    return job.ahead ? `Waiting; ${job.ahead} before it.` : "Waiting for a free worker.";
  }
  const p = job.progress;
  const what = { plan: "Looking for faces", render: "Drawing mouths" }[p.stage] ?? "Preparing";
  const parts = [what];
  if (p.done) parts.push(p.total ? `${p.done} of ${p.total} frames` : `${p.done} frames`);
  if (p.fps) parts.push(`${p.fps.toFixed(1)} frames/s`);
  if (p.seconds_left !== null) parts.push(`about ${clock(p.seconds_left)} left`);
  return parts.join(", ") + ".";
}

// Both passes on one bar: looking for faces is about a quarter of the work.
export function share(job) {
  const { stage, done, total } = job.progress;
  if (!total) return null;
  return stage === "render" ? 0.25 + 0.75 * (done / total) : 0.25 * (done / total);
}

export function setProgress(bar, value) {
  if (value === null || value === undefined) bar.removeAttribute("value");
  else { bar.max = 1; bar.value = value; }
}

export function say(place, text, bad = false) {
  place.textContent = text;
  place.classList.toggle("bad", bad);
}

export function sizeOf(bytes) {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

export function factsOf(file) {
  const parts = [file.name, sizeOf(file.bytes)];
  if (file.width) parts.push(`${file.width} × ${file.height}`);
  if (file.kind === "video") parts.push(`${file.fps} frames/s`);
  if (file.seconds) parts.push(`${file.seconds.toFixed(1)} s`);
  return parts.join(" · ");
}

// A drop zone: a label around a file input, with status, bar and what was chosen beside it.
export function dropZone(source, most, taken) {
  const zone = source.querySelector(".drop");
  const input = source.querySelector("input[type=file]");
  const status = source.querySelector(".status");
  const bar = source.querySelector("progress.upload");
  async function take(file) {
    if (!file) return;
    if (file.size > most) {
      say(status, `The file has ${sizeOf(file.size)}; this server takes ${sizeOf(most)}.`, true);
      return;
    }
    say(status, `Sending ${file.name ?? "the recording"} …`);
    bar.hidden = false;
    try {
      const found = await upload(file, file.name ?? "recording.webm", (part) => {
        bar.value = part;
        if (part === 1) say(status, "Looking at the file …");
      });
      say(status, "");
      taken(found);
    } catch (error) {
      say(status, error.message, true);
    } finally {
      bar.hidden = true;
      bar.value = 0;
      input.value = "";
    }
  }
  input.addEventListener("change", () => take(input.files[0]));
  for (const kind of ["dragenter", "dragover"]) {
    zone.addEventListener(kind, (event) => { event.preventDefault(); zone.classList.add("over"); });
  }
  for (const kind of ["dragleave", "drop"]) {
    zone.addEventListener(kind, (event) => { event.preventDefault(); zone.classList.remove("over"); });
  }
  zone.addEventListener("drop", (event) => take(event.dataTransfer.files[0]));
  return take;
}

for (const time of document.querySelectorAll("time")) {
  time.textContent = new Date(time.dateTime).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}
