// The page: a form that is drawn from the job type, and the jobs of the user, kept up to date.
import { drawForm, readForm, showRefusal, clearRefusal } from "./form.js";
import { showJob } from "./jobs.js";

const $ = (id) => document.getElementById(id);
const list = $("jobs");
let type = null;
let key = newKey();

// One key for each form that is sent: to send it again after a failure makes no second job.
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function get(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  if (answer.status === 404) return null;
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

async function loadType() {
  type = await get("api/type");
  if (!type) throw new Error("The job runner does not know this job type.");
  $("form-title").textContent = `New job: ${type.title}`;
  $("description").textContent = type.description;
  drawForm($("fields"), type);
}

async function loadJobs() {
  const { items } = await get("api/jobs");
  // oldest first, each to the top of the list
  for (const job of items.reverse()) await refresh(job.id);
  $("nothing").hidden = list.children.length > 0;
}

// Asks for a job and shows it. Answers may overtake each other: only the last asked for counts.
const asked = new Map();
async function refresh(id) {
  const turn = (asked.get(id) ?? 0) + 1;
  asked.set(id, turn);
  const job = await get(`api/jobs/${encodeURIComponent(id)}`);
  if (asked.get(id) !== turn) return;
  if (job) showJob(list, job);
  else document.getElementById(`job-${id}`)?.remove(); // it was deleted
  $("nothing").hidden = list.children.length > 0;
}

// A form with a bar while its file is being sent; fetch() does not tell how far it is.
function send(form) {
  return new Promise((done) => {
    const request = new XMLHttpRequest();
    request.open("POST", "api/jobs");
    request.setRequestHeader("Idempotency-Key", key);
    request.responseType = "json";
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) $("upload").value = event.loaded / event.total;
    };
    request.onload = () => done({ status: request.status, body: request.response });
    request.onerror = () => done({ status: 0, body: null });
    request.send(form);
  });
}

$("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  clearRefusal($("form"), $("refusal"));
  $("submit").disabled = true;
  $("upload").hidden = false;
  const { status, body } = await send(readForm($("fields"), type));
  $("upload").hidden = true;
  $("upload").value = 0;
  $("submit").disabled = false;
  if (status === 202) {
    key = newKey();
    $("form").reset();
    await refresh(body.id);
  } else {
    if (status >= 400 && status < 500) key = newKey(); // what was refused will be sent changed
    showRefusal($("form"), $("refusal"), status, body);
  }
});

function listen() {
  const changes = new EventSource("api/changes");
  changes.onopen = () => {
    $("live").textContent = "live";
    loadJobs().catch(console.error); // also after a break: nothing is missed
  };
  changes.onerror = () => ($("live").textContent = "connecting …");
  changes.addEventListener("job", (event) => refresh(JSON.parse(event.data).id).catch(console.error));
}

loadType().catch((error) => showRefusal($("form"), $("refusal"), 0, { detail: String(error) }));
listen();
