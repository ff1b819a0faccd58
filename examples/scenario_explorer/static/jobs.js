// One line for each job: what it is, how far it is, and what went wrong.

function make(tag, text, className = "") {
  const element = document.createElement(tag);
  if (text !== undefined && text !== null) element.textContent = text; // never as HTML
  if (className) element.className = className;
  return element;
}

function doing(job) {
  const stage = job.stages.find((s) => s.status === "running");
  if (job.status === "running" && stage) return stage.title;
  if (job.status === "queued" && job.waiting) return job.waiting.message;
  return "";
}

function bar(job) {
  if (job.status !== "running" || !job.progress) return null;
  const progress = document.createElement("progress");
  progress.max = job.progress.total;
  progress.value = job.progress.done;
  return progress;
}

function place(problem) {
  const parts = ["file", "sheet", "row", "column"].filter((name) => problem[name] != null);
  return parts.map((name) => `${name} ${problem[name]}`).join(", ");
}

function failure(job) {
  if (!job.error) return null;
  const box = make("div", job.error.message, "error");
  const problems = make("ul");
  for (const problem of (job.error.problems ?? []).slice(0, 10)) {
    const where = place(problem);
    problems.append(make("li", where ? `${where}: ${problem.message}` : problem.message));
  }
  if (problems.children.length) box.append(problems);
  return box;
}

export function showJob(list, job) {
  const old = document.getElementById(`job-${job.id}`);
  const item = make("li");
  item.id = `job-${job.id}`;
  item.dataset.status = job.status;
  const files = job.request.inputs.map((input) => input.filename).join(", ");
  const line = make("div", null, "line");
  line.append(make("span", files || job.id), make("span", doing(job)), make("span", job.status, "status"));
  const when = make("time", new Date(job.submitted).toLocaleString(), "when");
  when.dateTime = job.submitted;
  item.append(line, when, ...[bar(job), failure(job)].filter(Boolean));
  if (old) old.replaceWith(item);
  else list.prepend(item);
}
