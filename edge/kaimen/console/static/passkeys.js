"use strict";
// Making a passkey, and signing in by one: the browser asks its user, the console checks.
(() => {
  const known = window.PublicKeyCredential?.parseCreationOptionsFromJSON;
  if (!known) return;
  const token = JSON.parse(document.body.getAttribute("hx-headers"));

  // Return what an act answers; its sentence as an error where it refuses.
  const post = async (path, fields) => {
    const answer = await fetch(path, {
      method: "POST",
      headers: { ...token, "HX-Request": "true" },
      body: new URLSearchParams(fields),
    });
    if (answer.ok) return answer.json();
    const made = document.createElement("template");
    made.innerHTML = await answer.text();
    throw new Error(made.content.textContent.trim());
  };

  const onSubmit = (form, work) => {
    const said = form.querySelector("[role=alert]"), button = form.querySelector("button");
    form.hidden = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      said.hidden = button.disabled = true;
      try {
        const { see } = await work(Object.fromEntries(new FormData(form)));
        location.assign(see);
      } catch (error) {
        // A DOMException: its user has said no, or has waited for too long.
        said.textContent = error instanceof DOMException ? form.dataset.cancelled : error.message;
        said.hidden = false;
      } finally {
        button.disabled = false;
      }
    });
  };

  const signIn = document.getElementById("sign-in-by-passkey");
  if (signIn) onSubmit(signIn, async ({ then }) => {
    const asked = await post("/sign-in/passkey/challenge", {});
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(asked);
    const given = await navigator.credentials.get({ publicKey });
    return post("/sign-in/passkey", { then, answer: JSON.stringify(given.toJSON()) });
  });

  const make = document.getElementById("new-passkey");
  if (make) {
    document.getElementById("no-passkeys").hidden = true;
    onSubmit(make, async (fields) => {
      const asked = await post("/account/passkeys/challenge", fields);
      const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(asked);
      const given = await navigator.credentials.create({ publicKey });
      return post("/account/passkeys", { answer: JSON.stringify(given.toJSON()) });
    });
  }
})();
