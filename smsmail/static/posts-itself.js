// The page behind a link that signs in posts itself, once somebody really looks at it: a page that a
// browser draws beforehand must not.
const form = document.querySelector("form[data-posts-itself]");
function post() {
  if (document.visibilityState !== "visible" || document.prerendering) return;
  document.removeEventListener("visibilitychange", post);
  document.removeEventListener("prerenderingchange", post);
  form.requestSubmit();
}
document.addEventListener("visibilitychange", post);
document.addEventListener("prerenderingchange", post);
post();
