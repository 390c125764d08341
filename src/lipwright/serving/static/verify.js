// Verify any file.
import { dropZone, post, say } from "./common.js";

const place = document.querySelector("#verify");
const source = place.querySelector(".source");
dropZone(source, Number(place.dataset.maxUpload), async (file) => {
  try {
    const job = await post("/verifications", { file: file.id });
    location.href = `/jobs/${job.id}`;
  } catch (error) {
    say(source.querySelector(".status"), error.message, true);
  }
});
