// The page behind a link that signs in. Where a hand is likely it posts itself: a touch screen, the page
// in front and looked at for a moment, and no program at the wheel. Everywhere else the button waits:
// scanners of mail and messengers run JavaScript too, and must not be signed in by merely looking.
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

// Counted from the moment the page comes to the front; anything else begins it anew.
function watch() {
  clearTimeout(timer);
  if (lookedAt() && !button.disabled) timer = setTimeout(() => lookedAt() && form.requestSubmit(), MOMENT);
}

// One visit is one post: a second tap would only be told that the link is used already.
form.addEventListener("submit", () => {
  clearTimeout(timer);
  setTimeout(() => (button.disabled = true));
});
// By the way back, the page may come as it was left.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

if ("postsItself" in form.dataset && inAHand()) {
  for (const each of ["visibilitychange", "prerenderingchange"]) document.addEventListener(each, watch);
  for (const each of ["focus", "blur"]) window.addEventListener(each, watch);
  watch();
}
