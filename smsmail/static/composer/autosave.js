// A draft saves itself, and nothing that was typed is lost: not by leaving the page, not by an ended session.

import { post, renewToken, say, signedOut, tokenIsStale } from "./requests.js";

const form = document.getElementById("draft");
const PAUSE = 3000;
const AGAIN = 15000;
let timer = null;
let under = null; // the promise of the save that is under way
let unsaved = false;
let refused = false; // somebody else has changed the draft: from now on it is saved by hand only
let leaving = false;

function storageKey() {
  return `draft ${location.pathname}`;
}

function typed() {
  const ours = ["csrfmiddlewaretoken", "version", "look", "look_q"];
  return JSON.stringify([...new FormData(form)].filter(([name]) => !ours.includes(name)));
}

function keep() {
  try {
    sessionStorage.setItem(storageKey(), JSON.stringify({ version: form.elements.version.value, fields: typed() }));
  } catch {
    // The browser has no storage: the page itself still holds what was typed.
  }
}

function changed() {
  unsaved = true;
  keep();
  clearTimeout(timer);
  if (!refused) timer = setTimeout(save, PAUSE);
}

async function save() {
  clearTimeout(timer);
  if (under || leaving) return; // a form that is being sent must not make a second draft
  if (!form.dataset.autosave) return; // a text that is in use is saved by hand only
  const was = typed();
  under = store(was);
  const stored = await under;
  under = null;
  if (!unsaved || refused || signedOut) return;
  if (!stored || typed() !== was) timer = setTimeout(save, stored ? PAUSE : AGAIN);
}

async function store(was) {
  const answer = await post(form.dataset.autosave, new FormData(form));
  if (!answer) return false;
  const said = await answer.json();
  say(said.words, !said.saved);
  refused = !said.saved;
  if (refused) return false;
  form.elements.version.value = said.version;
  form.dataset.autosave = said.autosave;
  sessionStorage.removeItem(storageKey());
  if (location.pathname !== said.address) history.replaceState(null, "", said.address);
  if (typed() === was) unsaved = false;
  else keep();
  return true;
}

// Restores what was typed in this tab and never reached the server, for example because a session ended.
function bringBack() {
  const stored = JSON.parse(sessionStorage.getItem(storageKey()) || "{}");
  if (!stored.fields || stored.fields === typed()) return;
  for (const box of form.querySelectorAll("input[type=checkbox]")) box.checked = false;
  for (const [name, value] of JSON.parse(stored.fields)) {
    for (const each of form.querySelectorAll(`[name="${CSS.escape(name)}"]`)) {
      if (each.type === "checkbox" || each.type === "radio") each.checked ||= each.value === value;
      else if (each.type !== "hidden") each.value = value;
    }
  }
  // The version of that time: if somebody has changed the draft since, the server refuses to overwrite it.
  form.elements.version.value = stored.version;
  say(form.dataset.back);
}

// Tells everybody who listens for typing about what was filled in without an event that they heard.
function announce() {
  if (touched()) form.dispatchEvent(new Event("input", { bubbles: true }));
}

// Does a field hold something else than the server sent: put back above, or filled in before the scripts ran by a
// person or by the browser?
function touched() {
  return [...form.elements].some((each) => {
    if (["checkbox", "radio"].includes(each.type)) return each.checked !== each.defaultChecked;
    if (each.options) return each.selectedIndex !== Math.max(0, [...each.options].findIndex((one) => one.defaultSelected));
    return !["hidden", "submit", "button", "fieldset", "output"].includes(each.type) && each.value !== each.defaultValue;
  });
}

async function submitted(event) {
  clearTimeout(timer);
  if (under || tokenIsStale()) {
    // The answer to a save brings the new version: sent with the old one, the form would conflict with itself.
    event.preventDefault();
    await under;
    if (tokenIsStale()) await renewToken().catch(() => null);
    form.requestSubmit(event.submitter);
    return;
  }
  leaving = true;
  sessionStorage.setItem("sent", storageKey()); // app.js removes it on the page that follows
}

if (form) {
  form.addEventListener("input", changed);
  form.addEventListener("change", changed);
  form.addEventListener("submit", submitted);
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-forget]")) return;
    sessionStorage.removeItem(storageKey());
    leaving = true;
  });
  document.addEventListener("htmx:confirm", (event) => {
    if (!tokenIsStale()) return;
    event.preventDefault();
    renewToken()
      .catch(() => null)
      .then(() => event.detail.issueRequest());
  });
  document.addEventListener("visibilitychange", () => {
    if (unsaved && !refused && (document.hidden || signedOut)) save();
  });
  window.addEventListener("beforeunload", (event) => {
    if (unsaved && !leaving) event.preventDefault();
  });
  window.addEventListener("pageshow", () => (leaving = false));
  refused = "conflict" in form.dataset;
  if ("returned" in form.dataset) {
    // The form came back with errors: its fields are not stored.
    unsaved = true;
    keep();
  } else {
    bringBack();
    announce();
    // htmx listens to the form only after all scripts have run, and says so by "htmx:load". An event before that
    // would leave the meter without the text.
    addEventListener("htmx:load", announce, { once: true });
  }
}
