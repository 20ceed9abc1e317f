// The page behind a sign-in link. It submits itself where a person is likely: on a touch screen, with the
// page in front for a moment, and not under automation. Everywhere else the person presses the button:
// scanners of mail and messengers run JavaScript too, and must not be signed in by opening the page.
const form = document.querySelector("form[data-once]");
const button = form.querySelector("button");
const MOMENT = 1200;
let timer = 0;

function inAHand() {
  return navigator.maxTouchPoints > 0 && matchMedia("(pointer: coarse)").matches && !navigator.webdriver;
}

function lookedAt() {
  return document.visibilityState === "visible" && !document.prerendering && document.hasFocus();
}

// The wait starts when the page comes to the front; every change of this starts it again.
function watch() {
  clearTimeout(timer);
  if (lookedAt() && !button.disabled) timer = setTimeout(() => lookedAt() && form.requestSubmit(), MOMENT);
}

// A visit submits once: a second tap would only show that the link has been used.
form.addEventListener("submit", () => {
  clearTimeout(timer);
  setTimeout(() => (button.disabled = true));
});
// After going back, the browser may show the page as it was left.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

if ("postsItself" in form.dataset && inAHand()) {
  for (const each of ["visibilitychange", "prerenderingchange"]) document.addEventListener(each, watch);
  for (const each of ["focus", "blur"]) window.addEventListener(each, watch);
  watch();
}
