"use strict";
const $ = (id) => document.getElementById(id);
const POLL = 1500;
const FINAL = ["succeeded", "failed", "cancelled"];
let token = sessionStorage.getItem("token") || "";
let jobs = [];
let chosen = location.hash.slice(1);
let following = null;

function call(path, options = {}) {
  const headers = { ...options.headers };
  if (token) headers.authorization = `Bearer ${token}`;
  return fetch(path, { cache: "no-store", ...options, headers });
}

function size(bytes) {
  if (bytes === undefined) return "";
  for (const unit of ["B", "kB", "MB"]) {
    if (bytes < 1000) return unit === "B" ? `${bytes} B` : `${bytes.toFixed(1)} ${unit}`;
    bytes /= 1000;
  }
  return `${bytes.toFixed(1)} GB`;
}

function took(status) {
  if (!status.started) return "";
  const seconds = (status.finished || Date.now() / 1000) - status.started;
  return seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
}

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function row(job) {
  const made = element("tr");
  made.dataset.job = job.job_id;
  if (job.job_id === chosen) made.setAttribute("aria-current", "true");
  const state = element("td");
  state.append(element("span", job.status.state, `state ${job.status.state}`));
  const model = element("td");
  const open = element("button", job.name);
  open.type = "button";
  open.addEventListener("click", () => choose(job.job_id, true));
  model.append(open, element("small", job.version));
  made.append(
    state, model, element("td", job.platforms.join(", ")), element("td", took(job.status)),
    element("td", size(job.result?.bytes), "number"),
    element("td", new Date(job.status.created * 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" })),
  );
  return made;
}

function drawJobs() {
  const focused = document.activeElement?.closest("tr")?.dataset.job;
  $("jobs").tBodies[0].replaceChildren(...jobs.map(row));
  if (focused) $("jobs").querySelector(`tr[data-job="${focused}"] button`)?.focus();
  $("jobs").hidden = !jobs.length;
  $("empty").hidden = jobs.length > 0;
  const count = (state) => jobs.filter((job) => job.status.state === state).length;
  const parts = ["running", "queued", "waiting", "failed"].map((state) => [count(state), state]).filter(([number]) => number);
  $("summary").textContent = parts.map(([number, state]) => `${number} ${state}`).join(", ") || (jobs.length ? "all done" : "");
  $("summary").hidden = !$("summary").textContent;
}

function fact(term, value) {
  return value ? [element("dt", term), element("dd", value)] : [];
}

function drawDetails() {
  const job = jobs.find((one) => one.job_id === chosen);
  $("details").hidden = !job;
  if (!job) return;
  $("details-title").textContent = `${job.name} ${job.version}`;
  $("message").hidden = !job.status.message;
  $("message").textContent = job.status.message;
  const result = job.result || {};
  $("facts").replaceChildren(
    ...fact("Job", job.job_id), ...fact("Image", job.image), ...fact("Digest", result.digest),
    ...fact("Tags", result.tags?.join(", ")), ...fact("Layers", result.images?.map((image) => image.layers).join(", ")),
    ...fact("Size", size(result.bytes)), ...fact("Requires", result.requirements?.join(", ")),
  );
  $("cancel").hidden = FINAL.includes(job.status.state);
  $("fetch").hidden = job.status.state !== "succeeded";
}

function numbers(table, rows) {
  table.tBodies[0].replaceChildren(...rows.map((cells) => {
    const made = element("tr");
    made.append(...cells.map((text, column) => element("td", text, column ? "number" : undefined)));
    return made;
  }));
}

async function drawUsage() {
  const answer = await call("/api/usage");
  if (!answer.ok) return;
  const { client, used, quota, storage } = await answer.json();
  const shown = (name, value) => (value === null ? "no limit" : name === "bytes" ? size(value) : String(value));
  $("usage-title").textContent = `Client ${client}`;
  numbers($("quota"), Object.keys(quota).map((name) => [name === "minutes" ? "minutes in 24 hours" : name, shown(name, used[name]), shown(name, quota[name])]));
  $("storage").hidden = !storage;
  numbers($("storage"), Object.entries(storage ?? {}).map(([name, figure]) => [name, size(figure.bytes), figure.limit ? size(figure.limit) : ""]));
  $("usage").hidden = false;
}

function choose(id, focus) {
  chosen = id;
  history.replaceState(null, "", `#${id}`);
  drawJobs();
  drawDetails();
  if (focus) $("details-title").focus();
  follow(id);
}

async function follow(id) {
  following?.abort();
  const mine = (following = new AbortController());
  $("log").textContent = "";
  try {
    const answer = await call(`/api/jobs/${id}/logs?follow=1`, { signal: mine.signal });
    if (!answer.ok) return;
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const log = $("log");
      const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
      log.append(value);
      if (atEnd) log.scrollTop = log.scrollHeight;
    }
    $("log").dataset.ended = id;
    await refresh();
  } catch (error) {
    if (error.name !== "AbortError") $("log").append("\n(the connection broke; open the job again)");
  }
}

async function refresh() {
  let answer;
  try {
    answer = await call("/api/jobs");
  } catch {
    $("trouble").hidden = false;
    $("trouble").textContent = "The service does not answer. What is shown may be old.";
    return true;
  }
  $("trouble").hidden = true;
  if (answer.status === 401) {
    $("refused").hidden = !token;
    $("login").hidden = false;
    $("jobs").hidden = $("details").hidden = $("summary").hidden = $("usage").hidden = true;
    $("token").focus();
    return false;
  }
  $("login").hidden = true;
  jobs = (await answer.json()).jobs;
  drawJobs();
  drawDetails();
  await drawUsage().catch(() => {});
  document.documentElement.dataset.ready = "yes";
  return true;
}

async function watch() {
  if (await refresh()) {
    if (chosen && jobs.some((job) => job.job_id === chosen) && !following) follow(chosen);
    setTimeout(watch, POLL);
  }
}

$("login").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token").value;
  sessionStorage.setItem("token", token);
  watch();
});
$("cancel").addEventListener("click", async () => {
  await call(`/api/jobs/${chosen}/cancel`, { method: "POST", headers: { "content-type": "application/json" }, body: "{}" });
  await refresh();
});
$("fetch").addEventListener("click", async () => {
  const job = jobs.find((one) => one.job_id === chosen);
  const answer = await call(`/api/jobs/${chosen}/image`);
  if (!answer.ok) {
    $("message").hidden = false;
    $("message").textContent = (await answer.json()).error;
    return;
  }
  const link = element("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = `${job.name}.tar`;
  link.click();
  URL.revokeObjectURL(link.href);
});
watch();
