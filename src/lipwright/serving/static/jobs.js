// The list of jobs follows those that have not ended.
import { describe, get, setProgress, share } from "./common.js";

const words = { queued: "Waiting", running: "Running", done: "Done", failed: "Failed", cancelled: "Cancelled" };
const open = () => [...document.querySelectorAll(".job")].filter((item) => ["queued", "running"].includes(item.dataset.state));

async function refresh() {
  if (!open().length) return;
  if (!document.hidden) {
    try {
      const jobs = new Map((await get("/jobs?limit=200")).map((job) => [job.id, job]));
      for (const item of open()) {
        const job = jobs.get(item.dataset.job);
        if (!job) continue;
        item.dataset.state = job.state;
        const badge = item.querySelector(".badge");
        badge.className = `badge ${job.state}`;
        badge.textContent = words[job.state];
        const bar = item.querySelector("progress");
        bar.hidden = job.state !== "running";
        bar.title = describe(job);
        setProgress(bar, share(job));
      }
    } catch { /* the next round may reach the server */ }
  }
  setTimeout(refresh, 2000);
}
refresh();
