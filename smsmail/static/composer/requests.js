// Requests of the draft's form to the server, and the line under the form that says how they went.

const form = document.getElementById("draft");
const line = document.getElementById("saved");
let token = cookie();
export let signedOut = false; // importers read the current value

export function say(words, bad = false) {
  line.textContent = words;
  line.classList.toggle("bad-words", bad);
}

// Returns the answer. If there is none, or it is not what was asked for, says why and returns null.
export async function post(address, data) {
  try {
    if (tokenIsStale()) await renewToken();
    data.set("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
    const answer = await fetch(address, { method: "POST", body: data });
    signedOut = answer.redirected;
    if (answer.ok && !signedOut) return answer;
  } catch {
    // There is no network: the words below say so.
  }
  say(signedOut ? form.dataset.signedOut : form.dataset.notSaved, true);
  return null;
}

function cookie() {
  return (/(?:^|; )(?:__Host-)?csrftoken=([^;]*)/.exec(document.cookie) || [])[1];
}

export function tokenIsStale() {
  return cookie() !== token;
}

// Whoever signs in again in another tab makes the CSRF token of this page invalid. A fresh copy of the
// page has one that is valid.
export async function renewToken() {
  token = cookie();
  const answer = await fetch(location.href);
  if (!answer.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("#draft [name=csrfmiddlewaretoken]");
  if (!fresh) return;
  document.querySelectorAll("[name=csrfmiddlewaretoken]").forEach((each) => (each.value = fresh.value));
  document.body.setAttribute("hx-headers", JSON.stringify({ "X-CSRFToken": fresh.value }));
}
