// The job list: keys, and ticks that outlive its refreshing. Focus does too: htmx finds it again by id.

const OFF = "container-manager.keys-off";

const form = document.getElementById("cm-bulk");
const listing = document.getElementById("cm-listing");
const dialog = document.getElementById("cm-keys");
const keysOn = document.getElementById("cm-keys-on");
const ticked = new Set();

const boxes = () => [...listing.querySelectorAll("input[name=jobs]")];
const links = () => [...listing.querySelectorAll("[data-cm-row]")];

function count() {
  const shown = boxes();
  for (const element of form.querySelectorAll("[data-cm-ticked]")) element.textContent = ticked.size ? `(${ticked.size})` : "";
  const all = listing.querySelector("[data-cm-tick-all]");
  if (!all) return;
  all.hidden = false;
  all.checked = shown.length > 0 && shown.every((box) => box.checked);
  all.indeterminate = !all.checked && ticked.size > 0;
}

// What left the page is not acted on, so it is not ticked any more.
function restore() {
  const shown = boxes();
  for (const box of shown) box.checked = ticked.has(box.value);
  const values = new Set(shown.map((box) => box.value));
  for (const value of ticked) if (!values.has(value)) ticked.delete(value);
  count();
}

function note(box) {
  if (box.checked) ticked.add(box.value);
  else ticked.delete(box.value);
}

function move(step) {
  const all = links();
  if (!all.length) return;
  const row = document.activeElement?.closest("tr");
  const at = all.findIndex((link) => link.closest("tr") === row);
  const next = at < 0 ? 0 : Math.min(all.length - 1, Math.max(0, at + step));
  all[next].focus();
}

function tick() {
  const box = document.activeElement?.closest("#cm-listing tr")?.querySelector("input[name=jobs]");
  if (box) box.click();
}

const KEYS = {
  "/": () => document.getElementById("cm-search").focus(),
  j: () => move(1),
  k: () => move(-1),
  x: tick,
  "?": () => dialog.showModal(),
};

function isTyping(target) {
  return target.isContentEditable || target.matches("textarea, select, input:not([type=checkbox], [type=radio], [type=submit])");
}

document.addEventListener("keydown", (event) => {
  const act = KEYS[event.key];
  if (!act || event.ctrlKey || event.metaKey || event.altKey || dialog.open || isTyping(event.target)) return;
  if (!keysOn.checked && event.key !== "?") return;
  event.preventDefault();
  act();
});

listing.addEventListener("change", (event) => {
  if (event.target.matches("[data-cm-tick-all]")) {
    for (const box of boxes()) {
      box.checked = event.target.checked;
      note(box);
    }
  } else if (event.target.matches("input[name=jobs]")) {
    note(event.target);
  }
  count();
});

for (const button of document.querySelectorAll("[data-cm-keys]")) {
  button.hidden = false;
  button.addEventListener("click", () => dialog.showModal());
}

keysOn.addEventListener("change", () => {
  try {
    if (keysOn.checked) localStorage.removeItem(OFF);
    else localStorage.setItem(OFF, "1");
  } catch {
    // storage may be forbidden
  }
});
try {
  keysOn.checked = localStorage.getItem(OFF) === null;
} catch {
  // storage may be forbidden
}

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target === listing) restore();
});
// A browser that comes back to the page restores its ticks by itself.
window.addEventListener("pageshow", () => {
  boxes().forEach(note);
  count();
});
