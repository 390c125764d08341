// A call: the microphone goes out, face and sound come in.
import { post, say } from "./common.js";

const place = document.querySelector("#status");
const face = document.querySelector("#face");
const start = document.querySelector("#call");
const stop = document.querySelector("#hang-up");
const iceServers = JSON.parse(document.querySelector("#room").dataset.iceServers);
let peer = null;
let microphone = null;

function hangUp(words, failed = false) {
  peer?.close();
  microphone?.getTracks().forEach((track) => track.stop());
  peer = microphone = null;
  face.srcObject = null;
  start.hidden = false;
  start.disabled = false;
  stop.hidden = true;
  say(place, words, failed);
}

async function gathered(connection) {
  if (connection.iceGatheringState === "complete") return;
  await new Promise((resolve) => {
    const look = () => connection.iceGatheringState === "complete" && resolve();
    connection.addEventListener("icegatheringstatechange", look);
    setTimeout(resolve, 3000);
  });
}

start.addEventListener("click", async () => {
  start.disabled = true;
  try {
    say(place, "Asking for the microphone …");
    microphone = await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: true, noiseSuppression: false, autoGainControl: false },
    });
    peer = new RTCPeerConnection({ iceServers });
    peer.addTrack(microphone.getAudioTracks()[0], microphone);
    peer.addTransceiver("video", { direction: "recvonly" });
    peer.addEventListener("track", (event) => {
      face.srcObject = event.streams[0];
      // Chromium lets sound wait for 40 ms at least and pictures for less, and leaves what is less
      // than 30 ms apart as it is.
      if (event.track.kind === "video") event.receiver.jitterBufferTarget = 40;
    });
    peer.addEventListener("connectionstatechange", () => {
      if (peer?.connectionState === "connected") {
        say(place, "Connected. Speak!");
        stop.hidden = false;
        start.hidden = true;
      } else if (["failed", "disconnected", "closed"].includes(peer?.connectionState)) {
        hangUp("The call has ended.");
      }
    });
    await peer.setLocalDescription(await peer.createOffer());
    await gathered(peer);
    say(place, "Preparing the face; the first time takes a while …");
    const answer = await post("/live", { sdp: peer.localDescription.sdp });
    await peer.setRemoteDescription({ type: "answer", sdp: answer.sdp });
  } catch (error) {
    const denied = error.name === "NotAllowedError" || error.name === "NotFoundError";
    hangUp(denied ? "There is no microphone that this page may use." : error.message, true);
  }
});

stop.addEventListener("click", () => hangUp("You have hung up."));
