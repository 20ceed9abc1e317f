// The few things that the browser does by itself. Without it, everything but the live parts works.

// A link with hx-get and hx-target="#dialog" asks before a dangerous action. Without JavaScript, its
// href opens the same question as a page.
const dialog = document.getElementById("dialog");
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target === dialog && !dialog.open) {
    dialog.showModal();
    dialog.scrollTop = 0; // focusing the first button would scroll a long question to its end
  }
});
document.addEventListener("click", (event) => {
  if (event.target === dialog || event.target.closest("[data-close]")) {
    if (dialog && dialog.open) {
      event.preventDefault();
      dialog.close();
    }
  }
});

// If the session has ended, the response is the sign-in page, which must not be swapped into this one.
// Text being typed stays; a page without a form is reloaded and asks the user to sign in.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr, pathInfo, requestConfig } = event.detail;
  const asked = new URL(pathInfo.requestPath, location.href).pathname;
  if (new URL(xhr.responseURL).pathname === asked) return;
  event.detail.shouldSwap = false;
  if (requestConfig.verb === "get") location.reload();
});

// Sections that somebody has opened stay open when the part around them is replaced.
let opened = [];
document.addEventListener("htmx:beforeSwap", () => {
  opened = [...document.querySelectorAll("details[data-stays-open][open]")].map((each) => each.id);
});
document.addEventListener("htmx:afterSettle", () => {
  opened.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
  opened = [];
});

// A form is submitted once: a second click on the button does nothing.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || event.defaultPrevented) return;
  // Deferred, so that the button's own name and value are still sent.
  setTimeout(() => form.querySelectorAll("button").forEach((button) => (button.disabled = true)));
});
window.addEventListener("pageshow", (event) => {
  if (event.persisted) document.querySelectorAll("button:disabled").forEach((b) => (b.disabled = false));
});

// Menus close on Escape and on a click elsewhere.
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") closeMenus(null);
});
document.addEventListener("click", (event) => closeMenus(event.target));
function closeMenus(clicked) {
  document.querySelectorAll("details[data-menu][open]").forEach((menu) => {
    if (!clicked || !menu.contains(clicked)) menu.open = false;
  });
}

// A button with data-insert inserts its text at the cursor of the field that data-into names.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-insert]");
  if (!button) return;
  const field = document.getElementById(button.dataset.into);
  field.setRangeText(button.dataset.insert, field.selectionStart, field.selectionEnd, "end");
  field.focus();
  field.dispatchEvent(new Event("input", { bubbles: true }));
});

// A button with data-copy copies the field that it names to the clipboard. It is hidden where this is not
// allowed: without JavaScript, and over plain HTTP from another machine.
if (navigator.clipboard) {
  document.querySelectorAll("[data-copy]").forEach((button) => (button.hidden = false));
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const field = document.getElementById(button.dataset.copy);
    await navigator.clipboard.writeText(field.value);
    field.select();
    button.querySelector("span").textContent = button.dataset.copied;
  });
}

// The copy of a submitted draft is deleted on the page that follows. If the user was signed out meanwhile,
// that page is the sign-in page, and the copy stays, so that the typed text can be restored.
const sent = sessionStorage.getItem("sent");
if (sent && document.querySelector(".frame") && !document.getElementById("draft")) {
  sessionStorage.removeItem(sent);
  sessionStorage.removeItem("sent");
}
