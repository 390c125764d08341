// The form for a new dub.
import { describe, dropZone, factsOf, follow, get, post, say, setProgress, share } from "./common.js";

const form = document.querySelector("#dub");
const message = document.querySelector("#message");
const chosen = { video: null, speech: null };
let lookedFor = "";

function source(role) { return form.querySelector(`.source[data-role=${role}]`); }

function show(role, file) {
  chosen[role] = file;
  const place = source(role);
  place.querySelector(".drop").hidden = Boolean(file);
  place.querySelector(".chosen").hidden = !file;
  const record = place.querySelector(".record");
  if (record) record.hidden = Boolean(file);
  const write = place.querySelector(".write");
  if (write) write.hidden = Boolean(file);
  remember();
  if (!file) return;
  place.querySelector(".facts").textContent = factsOf(file);
  if (role === "speech") {
    place.querySelector("audio").src = file.url;
    return;
  }
  const video = place.querySelector("video");
  const image = place.querySelector("img");
  image.src = file.poster;
  const still = file.kind === "picture";
  video.hidden = still;
  image.hidden = !still;
  if (!still) {
    video.poster = file.poster;
    video.src = file.url;
    // A container that this browser cannot play is shown by its first picture, not encoded again.
    video.onerror = () => { video.hidden = true; image.hidden = false; };
  }
  findPeople(file);
}

function remember() {
  const address = new URL(location.href);
  for (const role of ["video", "speech"]) {
    if (chosen[role]) address.searchParams.set(role, chosen[role].id);
    else address.searchParams.delete(role);
  }
  history.replaceState(null, "", address);
}

for (const role of ["video", "speech"]) {
  const most = Number(form.dataset.maxUpload);
  const take = dropZone(source(role), most, (file) => {
    const status = source(role).querySelector(".status");
    if (role === "video" && file.kind === "sound") say(status, "This file has sound only; choose a video.", true);
    else if (role === "speech" && !file.sound) say(status, "This file has no sound; choose another.", true);
    else show(role, file);
  });
  source(role).querySelector(".change").addEventListener("click", () => {
    show(role, null);
    if (role === "video") showPeople(null);
    source(role).querySelector("input[type=file]").focus();
  });
  if (role === "speech") recorder(take);
}

// People.

async function findPeople(file) {
  lookedFor = file.id;
  const hint = document.querySelector("#people-hint");
  const bar = document.querySelector("#people-progress");
  showPeople(null);
  say(hint, "Looking for faces …");
  bar.hidden = false;
  try {
    const job = await post("/people", { video: file.id });
    const done = await follow(job.id, (now) => {
      const { done: seen, total } = now.progress;
      setProgress(bar, total ? seen / total : null);
    });
    if (lookedFor !== file.id) return;
    if (done?.state === "done") showPeople(done);
    else say(hint, done?.error || "Nobody could be looked for.", true);
  } catch (error) {
    if (lookedFor === file.id) say(hint, error.message, true);
  } finally {
    if (lookedFor === file.id) bar.hidden = true;
  }
}

function choice(value, title, detail, picture, checked) {
  const label = document.createElement("label");
  const input = Object.assign(document.createElement("input"), { type: "radio", name: "face", value, checked });
  label.append(input);
  if (picture) label.append(Object.assign(document.createElement("img"), { src: picture, alt: "" }));
  const text = document.createElement("span");
  text.append(title, Object.assign(document.createElement("small"), { textContent: detail }));
  label.append(text);
  return label;
}

function showPeople(job) {
  const stage = document.querySelector(".stage");
  const place = document.querySelector(".faces");
  const list = document.querySelector("#people-choices");
  const single = document.querySelector("#face-choices");
  const more = document.querySelector("#single-faces");
  const sheet = document.querySelector("#people-sheet");
  list.replaceChildren();
  single.replaceChildren();
  stage.querySelectorAll("button").forEach((button) => button.remove());
  stage.hidden = place.hidden = sheet.hidden = true;
  const hint = document.querySelector("#people-hint");
  if (!job) { say(hint, "The people appear here as soon as there is a video."); return; }
  const faces = job.result.faces.filter((face) => face.usable);
  if (!faces.length) {
    say(hint, "No usable face was found: every frame would stay as it is. Choose another video.", true);
    return;
  }
  const { people, shots } = job.result;
  const many = (count, one, more) => (count === 1 ? `One ${one} was` : `${count} ${more} were`);
  const where = shots > 1 ? ` in ${shots} shots` : "";
  const found = people.length ? many(people.length, "person", "people") : many(faces.length, "face", "faces");
  say(hint, faces.length === 1
    ? "One face was found; it is the one that will speak."
    : `${found} found${where}. Click the one who speaks.${job.result.note ? ` ${job.result.note}` : ""}`);
  list.append(choice("largest", "Largest face", "of every shot", null, true));
  if (faces.length > 1) {
    list.append(choice("all", "Everybody", "all mouths move", null, false));
    if (chosen.video?.sound) list.append(choice("speaking", "Whoever speaks", "in the video's own sound", null, false));
  }
  const person = new Map();  // by face
  for (const one of people) {
    for (const face of one.tracks) person.set(face, one);
    const spoken = one.seconds_speaking === null ? "" : `, speaks ${one.seconds_speaking.toFixed(1)} s`;
    const detail = `${one.seconds.toFixed(1)} s in ${one.shots.length} shot${one.shots.length === 1 ? "" : "s"}${spoken}`;
    const pictured = one.tracks.find((face) => job.files[`face-${face}`]);
    list.append(choice(one.face, `Person ${one.person}`, detail, job.files[`face-${pictured}`], false));
  }
  for (const face of faces) {
    const when = `${face.from.toFixed(1)} to ${face.to.toFixed(1)} s`;
    const one = choice(String(face.face), `Face ${face.face}`, when, job.files[`face-${face.face}`], false);
    (people.length ? single : list).append(one);
  }
  more.hidden = !people.length;
  more.open = false;
  place.hidden = faces.length === 1;
  if (job.files.sheet) {
    sheet.querySelector("a").href = job.files.sheet;
    sheet.hidden = false;
  }
  if (job.files.frame) {
    stage.querySelector("img").src = job.files.frame;
    stage.hidden = false;
    for (const box of job.result.boxes) {
      const whose = person.get(box.face);
      const name = whose ? `Person ${whose.person}` : `Face ${box.face}`;
      const button = Object.assign(document.createElement("button"), { type: "button" });
      button.dataset.face = whose ? whose.face : box.face;
      button.setAttribute("aria-label", `${name} speaks`);
      button.append(Object.assign(document.createElement("span"), { textContent: whose ? whose.person : box.face }));
      for (const [side, part] of Object.entries({ left: box.x, top: box.y, width: box.width, height: box.height })) {
        button.style[side] = `${100 * part}%`;
      }
      button.addEventListener("click", () => {
        place.querySelector(`input[value="${button.dataset.face}"]`).checked = true;
        press();
      });
      stage.append(button);
    }
  }
  press();
}

function press() {
  const face = form.elements.face?.value ?? "";
  const only = document.querySelectorAll(".stage button").length === 1 && document.querySelector(".faces").hidden;
  for (const button of document.querySelectorAll(".stage button")) {
    const on = face === "all" || face === button.dataset.face || (only && face === "largest");
    button.setAttribute("aria-pressed", String(on));
  }
}
document.querySelector(".faces").addEventListener("change", press);

// Writing.

document.querySelector("#speak")?.addEventListener("click", async (event) => {
  const button = event.currentTarget;
  const status = source("speech").querySelector(".status");
  const text = document.querySelector("#text");
  const voice = document.querySelector("#voice").value.trim();
  if (!text.value.trim()) {
    say(status, "Write what is to be said.", true);
    text.focus();
    return;
  }
  button.disabled = true;
  say(status, "Speaking …");
  try {
    const file = await post("/speeches", { text: text.value, ...(voice && { voice }) });
    say(status, "");
    show("speech", file);
  } catch (error) {
    say(status, error.message, true);
  } finally {
    button.disabled = false;
  }
});

// Recording.

function recorder(take) {
  const button = document.querySelector("#record");
  if (!navigator.mediaDevices?.getUserMedia || !window.MediaRecorder) { button.remove(); return; }
  const word = button.querySelector(".word");
  const status = source("speech").querySelector(".status");
  let recording = null;
  button.addEventListener("click", async () => {
    if (recording) { recording.stop(); return; }
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, autoGainControl: false } });
    } catch {
      say(status, "The microphone cannot be used; allow it in the browser, or choose a file.", true);
      return;
    }
    const parts = [];
    recording = new MediaRecorder(stream);
    const began = performance.now();
    const timer = setInterval(() => { word.textContent = `Stop (${((performance.now() - began) / 1000).toFixed(0)} s)`; }, 250);
    recording.ondataavailable = (event) => parts.push(event.data);
    recording.onstop = () => {
      clearInterval(timer);
      stream.getTracks().forEach((track) => track.stop());
      const kind = recording.mimeType || "audio/webm";
      recording = null;
      button.classList.remove("recording");
      word.textContent = "Record one";
      const suffix = kind.includes("mp4") ? "m4a" : kind.includes("ogg") ? "ogg" : "webm";
      take(new File(parts, `recording.${suffix}`, { type: kind }));
    };
    recording.start();
    button.classList.add("recording");
    word.textContent = "Stop (0 s)";
  });
}

// What was asked for.

function options() {
  const wanted = {};
  for (const field of form.querySelectorAll("[name^='option.']")) {
    const name = field.name.slice("option.".length);
    const value = field.type === "checkbox" ? String(field.checked) : field.value.trim();
    if (value === field.dataset.default) continue;
    if (field.type === "checkbox") wanted[name] = field.checked;
    else if (field.type === "number") wanted[name] = Number(value);
    else wanted[name] = value;
  }
  const face = form.elements.face?.value;
  if (face && face !== "largest") wanted.face = face;
  return wanted;
}

function complete(withConsent) {
  if (!chosen.video || !chosen.speech) {
    say(message, `Choose a ${chosen.video ? "speech" : chosen.speech ? "video" : "video and a speech"} first.`, true);
    source(chosen.video ? "speech" : "video").querySelector("input[type=file]").focus();
    return false;
  }
  const missing = withConsent
    ? [...document.querySelectorAll("#consent input")].filter((input) => !input.value.trim())
    : [];
  for (const input of document.querySelectorAll("#consent input")) {
    input.setAttribute("aria-invalid", String(missing.includes(input)));
  }
  if (missing.length) {
    say(message, "Write down who agreed, to what, and when.", true);
    missing[0].focus();
    return false;
  }
  return true;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!complete(true)) return;
  const button = form.querySelector("[type=submit]");
  button.disabled = true;
  say(message, "Starting …");
  const consent = Object.fromEntries([...document.querySelectorAll("#consent input")].map((i) => [i.name, i.value.trim()]));
  sessionStorage.setItem("consent", JSON.stringify(consent));
  try {
    const job = await post("/jobs", { video: chosen.video.id, speech: chosen.speech.id, options: options(), consent });
    location.href = `/jobs/${job.id}`;
  } catch (error) {
    say(message, error.message, true);
    button.disabled = false;
  }
});

document.querySelector("#preview").addEventListener("click", async (event) => {
  if (!complete(false)) return;
  const button = event.currentTarget;
  const bar = document.querySelector("#preview-progress");
  button.disabled = true;
  bar.hidden = false;
  say(message, "Drawing a few frames …");
  try {
    const job = await post("/previews", { video: chosen.video.id, speech: chosen.speech.id, options: options() });
    const done = await follow(job.id, (now) => { setProgress(bar, share(now)); say(message, describe(now)); });
    if (done?.state !== "done") throw new Error(done?.error || "The preview could not be drawn.");
    say(message, "");
    const sheet = document.querySelector("#preview-sheet");
    sheet.querySelector("img").src = done.files.preview;
    sheet.hidden = false;
  } catch (error) {
    say(message, error.message, true);
  } finally {
    button.disabled = false;
    bar.hidden = true;
  }
});

document.querySelector("#sample").addEventListener("click", async (event) => {
  const button = event.currentTarget;
  const status = source("video").querySelector(".status");
  button.disabled = true;
  say(status, "Setting the bundled portrait in motion, a few seconds …");
  try {
    const files = await post("/samples");
    say(status, "");
    show("speech", files.speech);
    show("video", files.video);
    const [who, purpose] = [form.elements.who, form.elements.purpose];
    who.value ||= "Public-domain portrait";
    purpose.value ||= "Trying Lipwright";
  } catch (error) {
    say(status, error.message, true);
  } finally {
    button.disabled = false;
  }
});

// A page that is loaded again continues where it was.

try {
  const consent = JSON.parse(sessionStorage.getItem("consent") ?? "{}");
  for (const name of ["who", "purpose"]) form.elements[name].value ||= consent[name] ?? "";
} catch { /* somebody else's entry */ }
for (const role of ["speech", "video"]) {
  const id = new URL(location.href).searchParams.get(role);
  if (id && /^[0-9a-f]{20}$/.test(id)) get(`/files/${id}`).then((file) => show(role, file), remember);
}
