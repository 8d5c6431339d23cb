"use strict";
const $ = (id) => document.getElementById(id);
const trial = JSON.parse($("trial").textContent);
const SHOWN = 20000;
const taken = [];

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

// A number as it was written: JavaScript's own would round whole numbers above 2^53.
class Written {
  constructor(text) { this.text = text; }
}

function json(value) {
  if (value instanceof Written) return value.text;
  if (Array.isArray(value)) return `[${value.map(json).join(", ")}]`;
  if (value && typeof value === "object") {
    return `{${Object.entries(value).map(([name, one]) => `${JSON.stringify(name)}: ${json(one)}`).join(", ")}}`;
  }
  return JSON.stringify(value);
}

function input(field, id) {
  if (field.kind === "picture" || field.kind === "file") {
    const made = element("input");
    made.type = "file";
    if (field.kind === "picture") made.accept = "image/*";
    return made;
  }
  if (field.kind === "json" || (field.kind === "text" && !trial.rows)) {
    const made = element("textarea");
    made.value = field.kind === "text" ? field.example : JSON.stringify(field.example);
    made.spellcheck = false;
    return made;
  }
  const made = element("input");
  if (field.kind === "flag" && !field.optional) {
    made.type = "checkbox";
    made.checked = field.example;
    return made;
  }
  made.type = "text";
  made.inputMode = field.kind === "text" ? "text" : "decimal";
  made.value = String(field.example);
  return made;
}

function draw(field, index) {
  const made = element("div", undefined, "field");
  const label = element("label", field.name);
  label.htmlFor = `field-${index}`;
  label.append(element("span", field.says, "says"));
  const control = input(field);
  control.id = label.htmlFor;
  if (control.tagName === "TEXTAREA") made.classList.add("wide");
  made.append(label, control);
  control.addEventListener("input", () => show().catch(() => {}));
  if (field.kind === "picture") {
    const picture = element("img");
    picture.alt = `${field.name}, as chosen`;
    picture.hidden = true;
    control.addEventListener("change", () => {
      URL.revokeObjectURL(picture.src);
      picture.hidden = !control.files.length;
      if (control.files.length) picture.src = URL.createObjectURL(control.files[0]);
    });
    made.append(picture);
  }
  return made;
}

function parsed(field, text) {
  try {
    JSON.parse(text);
  } catch (error) {
    throw new Error(`${field.name}: not JSON: ${error.message}`);
  }
  return text.trim();
}

// What a field holds: {bytes} of a file or of a text that is JSON itself, or {value} as JSON has it.
async function held(field, index) {
  const control = $(`field-${index}`);
  if (control.type === "file") {
    if (!control.files.length) throw new Error(`${field.name}: choose a file`);
    return { bytes: new Uint8Array(await control.files[0].arrayBuffer()) };
  }
  if (control.type === "checkbox") return { value: control.checked };
  const text = control.value;
  if (field.kind === "json") {
    const written = parsed(field, text);
    // A text as JSON would reach the model without its quotes.
    return written.startsWith('"') ? { bytes: new TextEncoder().encode(written) } : { value: new Written(written) };
  }
  if (field.kind === "text") return { value: text === "" && field.optional ? null : text };
  if (text.trim() === "") {
    if (field.optional) return { value: null };
    throw new Error(`${field.name}: needs a value`);
  }
  if (field.kind === "flag") {
    if (!["true", "false"].includes(text.trim())) throw new Error(`${field.name}: write true, false, or nothing`);
    return { value: text.trim() === "true" };
  }
  if (!/^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(text.trim())) throw new Error(`${field.name}: not a number: ${text}`);
  return { value: new Written(text.trim()) };
}

function base64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  return btoa(text);
}

function v1(values) {
  const instance = {};
  trial.fields.forEach((field, index) => {
    const { bytes, value } = values[index];
    instance[field.name] = bytes ? { b64: base64(bytes) } : value;
  });
  return { body: json({ instances: [instance] }), headers: { "content-type": "application/json" } };
}

function shapeOf(value) {
  const shape = [];
  for (let at = value; Array.isArray(at); at = at[0]) shape.push(at.length);
  return shape;
}

// Bytes go behind the JSON, each with its length before it (the protocol's binary tensor data extension).
function v2(values) {
  const behind = [];
  const inputs = trial.fields.map((field, index) => {
    let { bytes, value } = values[index];
    const tensor = { name: field.name, datatype: field.datatype, shape: [1] };
    if (trial.rows) return { ...tensor, data: [value] };
    if (field.datatype !== "BYTES") {
      return { ...tensor, shape: [1, ...shapeOf(JSON.parse(value.text))], data: [value] };
    }
    if (!bytes) bytes = new TextEncoder().encode(value instanceof Written ? value.text : value);
    const size = new Uint8Array(4);
    new DataView(size.buffer).setUint32(0, bytes.length, true);
    behind.push(size, bytes);
    return { ...tensor, parameters: { binary_data_size: bytes.length + 4 } };
  });
  const head = json({ inputs });
  if (!behind.length) return { body: head, headers: { "content-type": "application/json" } };
  return {
    body: new Blob([head, ...behind]),
    headers: {
      "content-type": "application/octet-stream",
      "inference-header-content-length": String(new TextEncoder().encode(head).length),
    },
  };
}

async function request() {
  const values = await Promise.all(trial.fields.map(held));
  return trial.protocol === "v1-http" ? v1(values) : v2(values);
}

async function show() {
  let told;
  try {
    told = await request();
  } catch (error) {
    $("curl").textContent = "";
    throw error;
  }
  const url = trial.url + trial.path;
  if (typeof told.body !== "string") $("curl").textContent = "(a request with a file's bytes in it: see the API below)";
  else if (told.body.length > SHOWN) $("curl").textContent = `curl -s ${url} -d @request.json    # ${told.body.length} bytes`;
  else $("curl").textContent = `curl -s ${url} -d '${told.body.replaceAll("'", "'\\''")}'`;
  return told;
}

const outputs = Object.fromEntries(trial.outputs.map((output) => [output.name, output.media_type]));

function drawPictures(answer) {
  const found = [];
  const add = (name, value) => {
    if (value && typeof value.b64 === "string" && (outputs[name] || "").startsWith("image/")) {
      const picture = element("img");
      picture.alt = name;
      picture.src = `data:${outputs[name]};base64,${value.b64}`;
      found.push(picture);
    }
  };
  for (const prediction of answer.predictions || []) {
    add(trial.outputs[0].name, prediction);
    for (const [name, value] of Object.entries(prediction || {})) add(name, value);
  }
  $("pictures").replaceChildren(...found);
}

function drawTimes() {
  const sorted = [...taken].sort((a, b) => a - b);
  const text = (time) => `${time < 10 ? time.toFixed(1) : Math.round(time)} ms`;
  $("times-taken").hidden = !taken.length;
  if (!taken.length) return;
  $("last").textContent = text(taken[taken.length - 1]);
  $("fastest").textContent = text(sorted[0]);
  $("median").textContent = text(sorted[Math.floor(sorted.length / 2)]);
  $("count").textContent = String(taken.length);
}

async function once({ body, headers }) {
  const began = performance.now();
  const answer = await fetch(trial.path, { method: "POST", headers, body, cache: "no-store" });
  const text = await answer.text();
  const time = performance.now() - began;
  $("status").className = answer.ok ? "" : "failed";
  $("status").textContent = `${answer.status} ${answer.statusText}, ${text.length} characters`;
  let document = {};
  try {
    document = JSON.parse(text);
    $("answer").textContent = text.length > SHOWN ? `${text.slice(0, SHOWN)}\n…` : JSON.stringify(document, null, 2);
  } catch {
    $("answer").textContent = text.slice(0, SHOWN);
  }
  drawPictures(answer.ok ? document : {});
  if (answer.ok) taken.push(time);
  return answer.ok;
}

async function send() {
  $("send").disabled = true;
  delete document.documentElement.dataset.answered;
  try {
    const told = await show();
    for (let left = Number($("times").value); left > 0; left -= 1) if (!(await once(told))) break;
  } catch (error) {
    $("status").className = "failed";
    $("status").textContent = error instanceof TypeError ? "The server does not answer: has it been stopped?" : error.message;
    $("answer").textContent = "";
    $("pictures").replaceChildren();
  } finally {
    drawTimes();
    $("send").disabled = false;
    document.documentElement.dataset.answered = "yes";
  }
}

// A schema with what it refers to in its place, once: schemas may refer to themselves.
function whole(schema, all, seen = []) {
  if (Array.isArray(schema)) return schema.map((one) => whole(one, all, seen));
  if (!schema || typeof schema !== "object") return schema;
  const name = schema.$ref?.split("/").pop();
  if (name && !seen.includes(name)) return whole(all[name], all, [...seen, name]);
  return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, whole(value, all, seen)]));
}

function drawOperation(path, method, operation, schemas) {
  const made = element("details");
  const head = element("summary");
  head.append(element("b", method.toUpperCase()), ` ${path} `, element("span", operation.summary || ""));
  made.append(head);
  const schema = operation.requestBody?.content?.["application/json"]?.schema;
  if (schema) {
    const { examples, ...rest } = whole(schema, schemas);
    for (const example of examples || []) made.append(element("h3", "Example"), element("pre", JSON.stringify(example, null, 2)));
    made.append(element("h3", "Request"), element("pre", JSON.stringify(rest, null, 2)));
  }
  const answers = element("dl");
  for (const [status, answer] of Object.entries(operation.responses || {})) {
    answers.append(element("dt", status), element("dd", answer.description || ""));
  }
  made.append(element("h3", "Answers"), answers);
  return made;
}

async function describe() {
  const answer = await fetch("/openapi.json");
  const description = await answer.json();
  const schemas = description.components?.schemas || {};
  for (const [path, methods] of Object.entries(description.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      $("operations").append(drawOperation(path, method, operation, schemas));
    }
  }
  document.documentElement.dataset.described = "yes";
}

$("fields").append(...trial.fields.map(draw));
$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
show().catch(() => {});
describe().catch(() => $("operations").append(element("p", "The server does not say: it may have been stopped.")));
