// The page on which a draft is written: variables offered at "{", replacements at one click, a draft
// that saves itself, and nothing typed that is lost. What a text comes to is counted by the server.

const form = document.getElementById("draft");
const field = document.getElementById("id_text");
const line = document.getElementById("saved");

// --- variables ------------------------------------------------------------------------------------
const list = document.getElementById("completion");
const options = list ? [...list.children] : [];
const OPEN = /\{\s*([^{}|\s]*)$/;
let chosen = null;

function offered() {
  return options.filter((option) => !option.hidden);
}

function choose(option) {
  options.forEach((each) => each.setAttribute("aria-selected", each === option ? "true" : "false"));
  chosen = option;
  field.setAttribute("aria-activedescendant", option ? option.id : "");
  if (option) option.scrollIntoView({ block: "nearest" });
}

function offer() {
  const open = field.selectionStart === field.selectionEnd && OPEN.exec(field.value.slice(0, field.selectionStart));
  const typed = open ? open[1].toLowerCase() : "";
  options.forEach((option) => {
    const words = `${option.dataset.name} ${option.querySelector("span").textContent.toLowerCase()}`;
    option.hidden = !words.split(" ").some((word) => word.startsWith(typed));
  });
  list.hidden = !open || offered().length === 0;
  choose(list.hidden ? null : offered()[0]);
}

function complete(option) {
  const end = field.selectionStart;
  const start = field.value.lastIndexOf("{", end - 1);
  const closes = field.value[end] === "}" ? end + 1 : end;
  field.setRangeText(`{${option.dataset.name}}`, start, closes, "end");
  close();
  field.focus();
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

function close() {
  list.hidden = true;
  choose(null);
}

if (field && list) {
  field.setAttribute("aria-autocomplete", "list");
  field.setAttribute("aria-controls", list.id);
  field.addEventListener("input", offer);
  field.addEventListener("blur", () => setTimeout(close, 200));
  field.addEventListener("keydown", (event) => {
    if (list.hidden) return;
    const rows = offered();
    const at = rows.indexOf(chosen);
    const keys = {
      ArrowDown: () => choose(rows[(at + 1) % rows.length]),
      ArrowUp: () => choose(rows[(at - 1 + rows.length) % rows.length]),
      Enter: () => complete(chosen),
      Tab: () => complete(chosen),
      Escape: close,
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  list.addEventListener("mousedown", (event) => {
    const option = event.target.closest("[role=option]");
    event.preventDefault(); // the cursor stays in the text
    if (option) complete(option);
  });
  // A text that was refused: the cursor where the trouble begins.
  if (field.dataset.wrongAt) {
    field.focus();
    field.setSelectionRange(Number(field.dataset.wrongAt), Number(field.dataset.wrongAt) + 1);
  }
}

// --- replacements ---------------------------------------------------------------------------------
let before = null;

function setText(text) {
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

document.addEventListener("click", async (event) => {
  if (event.target.closest("[data-undo]") && before !== null) {
    setText(before);
    before = null;
    return;
  }
  const button = event.target.closest("button[name=fix]");
  if (!button || !field) return;
  event.preventDefault();
  const data = new FormData(form);
  data.set("fix", button.value);
  const answer = await fetch(form.dataset.fix, { method: "POST", body: data });
  if (!answer.ok || answer.redirected) return say(form.dataset.signedOut, true);
  before = field.value;
  setText(await answer.text());
});
document.addEventListener("htmx:afterSettle", () => {
  const undo = document.querySelector("#cheaper .undo");
  if (undo) undo.hidden = before === null;
});

// --- a draft that saves itself --------------------------------------------------------------------
const PAUSE = 3000;
let timer = null;
let under = null; // the save that is on its way
let unsaved = false;
let refused = false; // somebody else has changed it: saving goes by hand from here
let leaving = false;

function kept() {
  return `draft ${location.pathname}`;
}

function say(words, bad = false) {
  line.textContent = words;
  line.classList.toggle("bad-words", bad);
}

function typed() {
  const data = [...new FormData(form)].filter(([name]) => !["csrfmiddlewaretoken", "version"].includes(name));
  return JSON.stringify(data);
}

function keep() {
  try {
    sessionStorage.setItem(kept(), typed());
  } catch {
    // A browser without storage: the page itself still holds what was typed.
  }
}

function changed(event) {
  if (event.target.name === "look" || event.target.name === "look_q") return;
  unsaved = true;
  keep();
  clearTimeout(timer);
  // A text that is in use is saved by hand only.
  if (!refused && form.dataset.autosave) timer = setTimeout(save, PAUSE);
}

async function save() {
  if (under) return under;
  const was = typed();
  under = store(was);
  await under;
  under = null;
  if (unsaved && !refused && typed() !== was) timer = setTimeout(save, PAUSE);
}

async function store(was) {
  let answer;
  try {
    answer = await fetch(form.dataset.autosave, { method: "POST", body: new FormData(form) });
  } catch {
    return say(form.dataset.notSaved, true);
  }
  if (answer.redirected || answer.status === 403) return say(form.dataset.signedOut, true);
  if (!answer.ok) return say(form.dataset.notSaved, true);
  const said = await answer.json();
  say(said.words, !said.saved);
  if (!said.saved) {
    refused = true;
    return;
  }
  form.elements.version.value = said.version;
  form.dataset.autosave = said.autosave;
  sessionStorage.removeItem(kept());
  if (location.pathname !== said.address) history.replaceState(null, "", said.address);
  if (typed() === was) unsaved = false;
}

// What was typed in this tab and never reached the server, after a sign-in, say.
function bringBack() {
  const stored = sessionStorage.getItem(kept());
  if (!stored || stored === typed() || form.querySelector(".field-error")) return;
  for (const box of form.querySelectorAll("input[type=checkbox]")) box.checked = false;
  for (const [name, value] of JSON.parse(stored)) {
    for (const each of form.querySelectorAll(`[name="${CSS.escape(name)}"]`)) {
      if (each.type === "checkbox" || each.type === "radio") each.checked ||= each.value === value;
      else if (each.type !== "hidden") each.value = value;
    }
  }
  say(form.dataset.back);
  unsaved = true;
  form.dispatchEvent(new Event("change", { bubbles: true }));
}

if (form) {
  form.addEventListener("input", changed);
  form.addEventListener("change", changed);
  form.addEventListener("submit", async (event) => {
    clearTimeout(timer);
    if (under) {
      // The draft's version comes back with it: without it we would be in our own way.
      event.preventDefault();
      await under;
      form.requestSubmit();
      return;
    }
    leaving = true;
    sessionStorage.setItem("sent", kept()); // app.js forgets it on the page that follows
  });
  window.addEventListener("beforeunload", (event) => {
    if (unsaved && !leaving) event.preventDefault();
  });
  window.addEventListener("pageshow", () => (leaving = false));
  bringBack();
}
