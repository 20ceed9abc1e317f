// The little that the browser does by itself. Everything works without it but the live parts.

// A link with hx-get and hx-target="#dialog" asks before a dangerous action; without JavaScript
// its href opens the same question as a page.
const dialog = document.getElementById("dialog");
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target === dialog && !dialog.open) {
    dialog.showModal();
    dialog.scrollTop = 0; // its first button has the focus: a long question would begin at its end
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

// Signed out meanwhile: the answer is the sign-in page, which belongs into no part of this one.
// What is being typed stays; a page that only shows is loaded anew and asks to sign in.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr, pathInfo, requestConfig } = event.detail;
  const asked = new URL(pathInfo.requestPath, location.href).pathname;
  if (new URL(xhr.responseURL).pathname === asked) return;
  event.detail.shouldSwap = false;
  if (requestConfig.verb === "get") location.reload();
});

// What somebody has opened stays open when the part around it comes anew.
let opened = [];
document.addEventListener("htmx:beforeSwap", () => {
  opened = [...document.querySelectorAll("details[data-stays-open][open]")].map((each) => each.id);
});
document.addEventListener("htmx:afterSettle", () => {
  opened.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
  opened = [];
});

// One submit is enough: a second click on the button does nothing.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || event.defaultPrevented) return;
  // After this turn, so that the button's own name and value still travel.
  setTimeout(() => form.querySelectorAll("button").forEach((button) => (button.disabled = true)));
});
window.addEventListener("pageshow", (event) => {
  if (event.persisted) document.querySelectorAll("button:disabled").forEach((b) => (b.disabled = false));
});

// Menus close on Escape and when one clicks elsewhere.
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") closeMenus(null);
});
document.addEventListener("click", (event) => closeMenus(event.target));
function closeMenus(clicked) {
  document.querySelectorAll("details[data-menu][open]").forEach((menu) => {
    if (!clicked || !menu.contains(clicked)) menu.open = false;
  });
}

// A button with data-insert puts its words into the field it names, where the cursor is.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-insert]");
  if (!button) return;
  const field = document.getElementById(button.dataset.into);
  field.setRangeText(button.dataset.insert, field.selectionStart, field.selectionEnd, "end");
  field.focus();
  field.dispatchEvent(new Event("input", { bubbles: true }));
});

// A button with data-copy puts what stands in the field it names on the clipboard. It is hidden where that
// is not allowed: without JavaScript, and over plain HTTP from another machine.
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

// A draft that has been sent off is no longer kept: this page is what followed it. Signed out on the
// way, the page is the sign-in, and what was typed must still come back.
const sent = sessionStorage.getItem("sent");
if (sent && document.querySelector(".frame") && !document.getElementById("draft")) {
  sessionStorage.removeItem(sent);
  sessionStorage.removeItem("sent");
}
