// The page for writing a draft: "{" offers variables, expensive characters are marked and replaced with one
// click, the draft saves itself, and no typed text is lost. The server counts and marks.

const form = document.getElementById("draft");
const field = document.getElementById("id_text");
const line = document.getElementById("saved");

// --- variables ------------------------------------------------------------------------------------
const list = document.getElementById("completion");
const options = list ? [...list.children] : [];
// Other services use two braces, which count as one as soon as a letter follows.
const OPEN = /(\{\s*|\{\{\s*(?=[^{}|\s]))([^{}|\s]*)$/;
let chosen = null;

function opened() {
  if (field.selectionStart !== field.selectionEnd) return null;
  const open = OPEN.exec(field.value.slice(0, field.selectionStart));
  return open && open[1] === "{" && field.value[open.index - 1] === "{" ? null : open;
}

function offered() {
  return options.filter((option) => !option.hidden);
}

function choose(option) {
  options.forEach((each) => each.setAttribute("aria-selected", each === option ? "true" : "false"));
  chosen = option;
  if (option) field.setAttribute("aria-activedescendant", option.id);
  else field.removeAttribute("aria-activedescendant");
  if (option) option.scrollIntoView({ block: "nearest" });
}

function offer() {
  const open = opened();
  const typed = open ? open[2].toLowerCase() : "";
  options.forEach((option) => {
    const words = `${option.dataset.name} ${option.querySelector("span").textContent.toLowerCase()}`;
    option.hidden = !words.split(/[\s_]/).some((word) => word.startsWith(typed)) && !words.startsWith(typed);
  });
  list.hidden = !open || offered().length === 0;
  choose(list.hidden ? null : offered()[0]);
}

function complete(option) {
  const open = opened();
  if (!open) return close();
  let end = field.selectionStart;
  if (field.value[end] === "}") end += 1;
  write(`{${option.dataset.name}}`, open.index, end);
  close();
}

function close() {
  list.hidden = true;
  choose(null);
}

// Insert the text as if it were typed, so that the browser can undo it.
function write(text, start, end) {
  field.focus();
  field.setSelectionRange(start, end);
  if (document.execCommand("insertText", false, text)) return;
  field.setRangeText(text, start, end, "end");
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

if (field && list) {
  field.setAttribute("aria-autocomplete", "list");
  field.setAttribute("aria-controls", list.id);
  field.addEventListener("input", offer);
  field.addEventListener("blur", () => setTimeout(close, 200));
  field.addEventListener("keydown", (event) => {
    if (list.hidden || event.isComposing) return;
    const rows = offered();
    const at = rows.indexOf(chosen);
    const keys = {
      ArrowDown: () => choose(rows[(at + 1) % rows.length]),
      ArrowUp: () => choose(rows[(at - 1 + rows.length) % rows.length]),
      Enter: () => complete(chosen),
      Tab: () => complete(chosen),
      Escape: close,
    };
    if (!keys[event.key] || event.shiftKey) return;
    event.preventDefault();
    keys[event.key]();
  });
  list.addEventListener("mousedown", (event) => {
    const option = event.target.closest("[role=option]");
    event.preventDefault(); // the cursor stays in the text
    if (option) complete(option);
  });
}

// In a refused text, put the cursor where the error begins. The server counts characters, the browser
// counts UTF-16 code units.
if (field && field.dataset.wrongAt) {
  const at = [...field.value].slice(0, Number(field.dataset.wrongAt)).join("").length;
  field.focus();
  field.setSelectionRange(at, at + 1);
}

// --- marks behind the text, and replacements ------------------------------------------------------
const marks = document.getElementById("marks");
let before = null; // the text as it was before a replacement
let replacing = false;

function mark() {
  const now = document.getElementById("marks-now");
  const fits = now && now.textContent === field.value;
  marks.replaceChildren(...(fits ? now.cloneNode(true).childNodes : []));
  marks.scrollTop = field.scrollTop;
}

function setText(text) {
  replacing = true;
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  replacing = false;
}

if (field) {
  field.addEventListener("scroll", () => (marks.scrollTop = field.scrollTop));
  field.addEventListener("input", () => {
    mark();
    if (!replacing) before = null; // undoing would lose what was typed since
  });
  document.addEventListener("htmx:afterSettle", () => {
    mark();
    const undo = document.querySelector("#cheaper .undo");
    if (!undo || before === null) return;
    undo.hidden = false;
    if (document.activeElement === document.body) undo.querySelector("button").focus({ preventScroll: true });
  });
  mark();
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
  const was = field.value;
  const data = new FormData(form);
  data.set("fix", button.value);
  const answer = await post(form.dataset.fix, data);
  if (!answer || field.value !== was) return;
  const text = await answer.text();
  before = text === was ? null : was;
  setText(text);
});

// --- a draft that saves itself --------------------------------------------------------------------
const PAUSE = 3000;
const AGAIN = 15000;
let timer = null;
let under = null; // the save in progress
let unsaved = false;
let refused = false; // somebody else has changed the draft, so it is saved only by hand from now on
let signedOut = false;
let leaving = false;
let token = cookie();

function kept() {
  return `draft ${location.pathname}`;
}

function say(words, bad = false) {
  line.textContent = words;
  line.classList.toggle("bad-words", bad);
}

function typed() {
  const ours = ["csrfmiddlewaretoken", "version", "look", "look_q"];
  return JSON.stringify([...new FormData(form)].filter(([name]) => !ours.includes(name)));
}

function keep() {
  try {
    sessionStorage.setItem(kept(), JSON.stringify({ version: form.elements.version.value, fields: typed() }));
  } catch {
    // The browser has no storage; the page itself still holds the typed text.
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
  if (under || leaving) return; // a form being submitted must not create a second draft
  if (!form.dataset.autosave) return; // a text in use is saved only by hand
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
  sessionStorage.removeItem(kept());
  if (location.pathname !== said.address) history.replaceState(null, "", said.address);
  if (typed() === was) unsaved = false;
  else keep();
  return true;
}

// Return the response if it is the requested one. Otherwise show why not, and return null.
async function post(address, data) {
  try {
    if (cookie() !== token) await renew();
    data.set("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
    const answer = await fetch(address, { method: "POST", body: data });
    signedOut = answer.redirected;
    if (answer.ok && !signedOut) return answer;
  } catch {
    // There is no network; the message is shown below.
  }
  say(signedOut ? form.dataset.signedOut : form.dataset.notSaved, true);
  return null;
}

// Signing in again in another tab invalidates the CSRF token of this page's forms. renew() takes a valid one
// from a new copy of the page.
function cookie() {
  return (/(?:^|; )(?:__Host-)?csrftoken=([^;]*)/.exec(document.cookie) || [])[1];
}

async function renew() {
  token = cookie();
  const answer = await fetch(location.href);
  if (!answer.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("#draft [name=csrfmiddlewaretoken]");
  if (!fresh) return;
  document.querySelectorAll("[name=csrfmiddlewaretoken]").forEach((each) => (each.value = fresh.value));
  document.body.setAttribute("hx-headers", JSON.stringify({ "X-CSRFToken": fresh.value }));
}

// Restore what was typed in this tab and never reached the server, for example after a sign-in.
function bringBack() {
  const stored = JSON.parse(sessionStorage.getItem(kept()) || "{}");
  if (!stored.fields || stored.fields === typed()) return;
  for (const box of form.querySelectorAll("input[type=checkbox]")) box.checked = false;
  for (const [name, value] of JSON.parse(stored.fields)) {
    for (const each of form.querySelectorAll(`[name="${CSS.escape(name)}"]`)) {
      if (each.type === "checkbox" || each.type === "radio") each.checked ||= each.value === value;
      else if (each.type !== "hidden") each.value = value;
    }
  }
  // Restore the version of that time too, so that later changes by others are not overwritten.
  form.elements.version.value = stored.version;
  say(form.dataset.back);
  form.dispatchEvent(new Event("input", { bubbles: true }));
}

// True if a field was typed in before this script loaded, or filled in by the browser.
function touched() {
  return [...form.elements].some((each) => {
    if (["checkbox", "radio"].includes(each.type)) return each.checked !== each.defaultChecked;
    return ["text", "textarea"].includes(each.type) && each.value !== each.defaultValue;
  });
}

async function submitted(event) {
  clearTimeout(timer);
  if (under || cookie() !== token) {
    // Wait for the running save, which returns the draft's new version: without it we would conflict
    // with ourselves.
    event.preventDefault();
    await under;
    if (cookie() !== token) await renew().catch(() => null);
    form.requestSubmit(event.submitter);
    return;
  }
  leaving = true;
  sessionStorage.setItem("sent", kept()); // app.js deletes the copy on the page that follows
}

if (form) {
  form.addEventListener("input", changed);
  form.addEventListener("change", changed);
  form.addEventListener("submit", submitted);
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-forget]")) return;
    sessionStorage.removeItem(kept());
    leaving = true;
  });
  document.addEventListener("htmx:confirm", (event) => {
    if (cookie() === token) return;
    event.preventDefault();
    renew()
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
    // The form came back with errors, so its content is not stored.
    unsaved = true;
    keep();
  } else {
    bringBack();
    if (touched()) form.dispatchEvent(new Event("input", { bubbles: true }));
  }
}
