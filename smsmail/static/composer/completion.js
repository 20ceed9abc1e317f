// Variables are offered at "{" while somebody types a text, and completed from the keyboard or by a click.

const field = document.getElementById("id_text");
const list = document.getElementById("completion");
const options = list ? [...list.children] : [];
// Other services write two braces: they count as one as soon as a letter follows.
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

// The text goes in as if it were typed, so that the browser can undo it.
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
    event.preventDefault(); // so that the cursor stays in the text
    if (option) complete(option);
  });
}
