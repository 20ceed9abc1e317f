// Characters that make a message dearer are marked behind the text, and replaced at one click. The server
// counts and marks; this module only shows what it answers.

import { post } from "./requests.js";

const form = document.getElementById("draft");
const field = document.getElementById("id_text");
// When the server has refused a text, the cursor goes to the first wrong character. The server counts
// characters, the browser counts UTF-16 units.
if (field && field.dataset.wrongAt) {
  const at = [...field.value].slice(0, Number(field.dataset.wrongAt)).join("").length;
  field.focus();
  field.setSelectionRange(at, at + 1);
}

const marks = document.getElementById("marks");
let before = null; // the text before the last replacement
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
    if (!replacing) before = null; // an undo would also take away what has been typed since
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
