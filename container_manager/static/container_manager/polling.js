// Refreshes every element with [data-cm-poll] by the event "cm:refresh", which its hx-trigger names.
// Not htmx's own "every 5s": this pauses in a hidden tab, backs off on errors and says when the page is stale.

const LONGEST_SECONDS = 60;
const CHOICE = "container-manager.refresh";

const live = document.getElementById("cm-live");
const select = document.getElementById("cm-refresh");
const text = live?.querySelector(".cm-live-text");

const pending = new Set();
const shown = new WeakMap();
const kept = new WeakMap();
let failures = 0;
let staleSince = null;
let timer = 0;

const elements = () => document.querySelectorAll("[data-cm-poll]");
const seconds = () => Number(select.value);

function show(state) {
  const words = state === "stale" ? `${live.dataset.stale} ${staleSince.toLocaleTimeString()}` : live.dataset[camel(state)];
  live.dataset.state = state;
  if (text.textContent !== words) text.textContent = words;
}

function camel(name) {
  return name.replace(/-(.)/g, (_, letter) => letter.toUpperCase());
}

function schedule() {
  clearTimeout(timer);
  if (!seconds()) return show("off");
  if (document.hidden) return show("paused");
  const pause = Math.min(LONGEST_SECONDS, seconds() * 2 ** Math.min(failures, 6));
  timer = setTimeout(refresh, pause * 1000);
}

function refresh() {
  for (const element of elements()) {
    if (!pending.has(element)) window.htmx.trigger(element, "cm:refresh");
  }
  schedule();
}

function fail() {
  failures += 1;
  staleSince ??= new Date();
  show("stale");
  schedule();
}

function isPolled(event) {
  return event.detail.elt instanceof Element && event.detail.elt.matches("[data-cm-poll]");
}

// Without a session the answer is the log-in page, from another address.
function isElsewhere(xhr, path) {
  return xhr.responseURL && new URL(xhr.responseURL).pathname !== new URL(path, location.href).pathname;
}

// What was open stays open, and the keyboard stays where it was.
function remember(element) {
  const open = [...element.querySelectorAll("details[id][open]")].map((details) => details.id);
  const active = element.contains(document.activeElement) ? document.activeElement : null;
  const selector = active && (active.id ? `#${CSS.escape(active.id)}` : active.matches("a[href]") && `a[href="${CSS.escape(active.getAttribute("href"))}"]`);
  kept.set(element, () => {
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    if (selector) element.querySelector(selector)?.focus({ preventScroll: true });
  });
}

document.addEventListener("htmx:beforeRequest", (event) => {
  if (isPolled(event)) pending.add(event.detail.elt);
});

document.addEventListener("htmx:beforeSwap", (event) => {
  if (!isPolled(event)) return;
  const { elt, xhr, requestConfig } = event.detail;
  if (isElsewhere(xhr, requestConfig.path)) {
    event.detail.shouldSwap = false;
    clearTimeout(timer);
    select.value = "0";
    show("signed-out");
  } else if (xhr.status === 200) {
    // The same again is left alone: what the reader marked or focused stays.
    if (shown.get(elt) === xhr.responseText) event.detail.shouldSwap = false;
    shown.set(elt, xhr.responseText);
    if (event.detail.shouldSwap) remember(elt);
  }
});

document.addEventListener("htmx:afterSettle", (event) => {
  kept.get(event.target)?.();
  kept.delete(event.target);
});

document.addEventListener("htmx:afterRequest", (event) => {
  if (!isPolled(event)) return;
  pending.delete(event.detail.elt);
  if (!event.detail.successful) return fail();
  if (live.dataset.state === "signed-out") return;
  failures = 0;
  staleSince = null;
  if (seconds() && !document.hidden) show("live");
});

document.addEventListener("visibilitychange", () => {
  if (!elements().length || live.dataset.state === "signed-out") return;
  if (document.hidden || !seconds()) schedule();
  else refresh();
});

function restore() {
  try {
    const choice = localStorage.getItem(CHOICE);
    if ([...select.options].some((option) => option.value === choice)) select.value = choice;
  } catch {
    // storage may be forbidden
  }
}

function keep() {
  try {
    localStorage.setItem(CHOICE, select.value);
  } catch {
    // storage may be forbidden
  }
}

if (live && elements().length) {
  restore();
  live.hidden = false;
  select.addEventListener("change", () => {
    keep();
    failures = 0;
    if (seconds()) refresh();
    else schedule();
  });
  show(seconds() ? "live" : "off");
  schedule();
}
