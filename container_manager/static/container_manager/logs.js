// The output: what is new is appended, and a reader who scrolled up is left where they are.

const PAUSE = 1_000;
const LONGEST_PAUSE = 30_000;
const MOST_LINES = 5_000;
const NEAR = 40;

const log = document.getElementById("cm-log");
const lines = document.getElementById("cm-lines");
const empty = document.getElementById("cm-no-lines");
const follow = document.getElementById("cm-follow");
const more = document.getElementById("cm-new");
const state = document.getElementById("cm-log-state");

let cursor = log.dataset.cursor;
let failures = 0;
let timer = 0;
let isAsking = false;

const isAtEnd = () => log.scrollHeight - log.scrollTop - log.clientHeight < NEAR;

function toEnd() {
  log.scrollTop = log.scrollHeight;
  more.hidden = true;
}

function say(name, since = "") {
  const words = `${state.dataset[name]} ${since}`.trim();
  if (state.textContent !== words) state.textContent = words;
  state.toggleAttribute("data-bad", name === "stale");
}

function append(answer) {
  const wasAtEnd = isAtEnd();
  if (answer.is_reset) lines.replaceChildren();
  lines.querySelector("[data-open]")?.remove();
  lines.insertAdjacentHTML("beforeend", answer.html);
  empty.hidden = true;
  if (!wasAtEnd) {
    more.hidden = false;
    return;
  }
  while (lines.childElementCount > MOST_LINES) lines.firstElementChild.remove();
  toEnd();
}

async function ask() {
  if (isAsking) return;
  isAsking = true;
  try {
    const response = await fetch(`${log.dataset.url}&after=${encodeURIComponent(cursor)}`, { redirect: "error" });
    if (!response.ok) throw new Error(String(response.status));
    const answer = await response.json();
    const isNew = answer.html && (answer.cursor !== cursor || openText(answer.html));
    if (isNew) append(answer);
    cursor = answer.cursor;
    failures = 0;
    state.dataset.since = "";
    if (answer.is_over) {
      log.dataset.over = "";
      follow.disabled = true;
    }
  } catch {
    failures += 1;
    state.dataset.since ||= new Date().toLocaleTimeString();
  } finally {
    isAsking = false;
  }
  schedule();
}

// A line that has not ended is sent again each time; only if it grew is there something to show.
function openText(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content.lastElementChild?.textContent !== lines.lastElementChild?.textContent;
}

function schedule() {
  clearTimeout(timer);
  if ("over" in log.dataset) return say("over");
  if (failures) say("stale", state.dataset.since);
  else if (!follow.checked || document.hidden) return say("paused");
  else say("following");
  if (!follow.checked || document.hidden) return undefined;
  timer = setTimeout(ask, Math.min(LONGEST_PAUSE, PAUSE * 2 ** Math.min(failures, 5)));
  return undefined;
}

function option(id, className) {
  const box = document.getElementById(id);
  const key = `container-manager.${id}`;
  try {
    const kept = localStorage.getItem(key);
    if (kept !== null) box.checked = kept === "1";
  } catch {
    // storage may be forbidden
  }
  const show = () => log.classList.toggle(className, box.checked);
  box.addEventListener("change", () => {
    const wasAtEnd = isAtEnd();
    show();
    if (wasAtEnd) toEnd();
    try {
      localStorage.setItem(key, box.checked ? "1" : "0");
    } catch {
      // storage may be forbidden
    }
  });
  show();
}

option("cm-wrap", "cm-wrap");
option("cm-times", "cm-show-times");
more.addEventListener("click", toEnd);
log.addEventListener("scroll", () => {
  if (isAtEnd()) more.hidden = true;
});
document.getElementById("cm-attempt").addEventListener("change", (event) => event.target.form.requestSubmit());
document.getElementById("cm-stream").addEventListener("change", (event) => event.target.form.requestSubmit());

const linked = log.querySelector(".cm-linked");
if (linked) linked.scrollIntoView({ block: "center" });
else if (!("fixed" in log.dataset)) toEnd();

if (!("fixed" in log.dataset)) {
  follow.hidden = false;
  follow.disabled = "over" in log.dataset;
  follow.addEventListener("change", () => (follow.checked ? ask() : schedule()));
  document.addEventListener("visibilitychange", () => (document.hidden ? schedule() : ask()));
  schedule();
}
