"""Examples of the API: shown on the page and in the documents, and run by a test."""

CURL = r"""
server=http://127.0.0.1:7860
# With a token: curl --header "Authorization: Bearer $LIPWRIGHT_TOKEN" ...
id() { sed 's/.*"id":"\([0-9a-f]*\)".*/\1/'; }

video=$(curl -sS --fail-with-body -F file=@talk.mp4 $server/api/v1/files | id)
speech=$(curl -sS --fail-with-body -F file=@speech.wav $server/api/v1/files | id)

job=$(curl -sS --fail-with-body $server/api/v1/jobs \
  --header 'Content-Type: application/json' \
  --header 'Idempotency-Key: talk-in-spanish-1' \
  --data '{"video": "'$video'", "speech": "'$speech'",
           "options": {"method": "vq", "length": "auto"},
           "consent": {"who": "Ada Lovelace", "purpose": "Spanish talk", "date": "2026-11-21"}}' \
  | id)

curl -sS --no-buffer $server/api/v1/jobs/$job/events          # until it has ended
curl -sS --fail-with-body -o dubbed.mp4 $server/api/v1/jobs/$job/files/result
"""

PYTHON = """
from lipwright.client import Client

client = Client("http://127.0.0.1:7860")
video, speech = client.upload("talk.mp4"), client.upload("speech.wav")
consent = {"who": "Ada Lovelace", "purpose": "Spanish talk", "date": "2026-11-21"}
job = client.dub(video, speech, consent=consent, options={"method": "vq"})
client.wait(job, progress=lambda now: print(now["state"], now["progress"]["done"]))
client.download(job, "dubbed.mp4")
"""
