// What the scripts of the workspace share: elements, texts, requests and messages.
window.npw = (() => {
  let texts = null;

  const rootOf = () => document.querySelector("#np-workshop, #np-compare, #np-inside, #np-plugins, #np-products");
  const dataset = () => rootOf()?.dataset ?? {};

  const known = () => (texts ??= JSON.parse(dataset().texts ?? "{}"));

  // The text of a key, with {names} replaced; {name:one|many} is the form for that number.
  const say = (key, values = {}) => {
    return (known()[key] ?? key).replace(/\{(\w+):([^|}]*)\|([^}]*)\}/g, (_, name, one, many) => (Number(values[name]) === 1 ? one : many))
      .replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
  };

  // An element: attributes, listeners ("onclick") and properties (".value"), then its children.
  const el = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === undefined || value === null || value === false) continue;
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (name.startsWith(".")) made[name.slice(1)] = value;
      else made.setAttribute(name, value === true ? "" : value);
    }
    made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
    return made;
  };

  const button = (key, onclick, attributes = {}) => el("button", { type: "button", class: "np-button", onclick, ...attributes }, say(key));

  const copyButton = (text) => el("button", { type: "button", class: "np-button", "data-copy": "value", "data-value": text, "data-done": `✓ ${say("copied")}` }, say("copy"));

  // A command with a button that copies it.
  const command = (text) => el("div", { class: "np-w-command" }, el("code", {}, text), copyButton(text));

  // Fills an element whenever Gradio has drawn it (late, and again when the server has come back).
  const filled = (id, fill) => {
    let seen = null;
    const look = () => {
      const root = document.getElementById(id);
      if (root && root !== seen) { seen = root; fill(root); }
    };
    new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
    look();
  };

  // A part of the address of a page; as it is if it is not well encoded.
  const decoded = (text) => { try { return decodeURIComponent(text); } catch (_) { return text; } };

  const path = (...parts) => `./np-workspace/${parts.map(encodeURIComponent).join("/")}`;

  // What a failed call tells: an Error with `hint` and `kind`.
  const failure = (values, status) => Object.assign(new Error(values.error ?? status), { hint: values.hint, kind: values.error_type });

  // The same for what fetch throws; a call that was cancelled stays one.
  const unreached = (error) => (error.name === "AbortError" ? error : Object.assign(new Error(say("lost_server")), { lost: true, hint: say("lost_again") }));

  // An answer of the server; a failure is an Error as above.
  const request = async (method, address, body, signal) => {
    let reply;
    const raw = body instanceof Blob;
    try {
      reply = await fetch(address, {
        method,
        signal,
        headers: { "x-nlplug-page": "1", ...(raw || body === undefined ? {} : { "content-type": "application/json" }) },
        body: raw ? body : body === undefined ? undefined : JSON.stringify(body),
      });
    } catch (error) {
      throw unreached(error);
    }
    const values = await reply.json().catch(() => ({}));
    if (reply.ok) return values;
    throw failure(values, reply.statusText);
  };
  const get = (address, signal) => request("GET", address, undefined, signal);
  const post = (address, body = {}, signal = undefined) => request("POST", address, body, signal);
  const upload = (address, file, signal = undefined) => request("POST", address, file, signal);
  const remove = (address) => request("DELETE", address);

  // In other languages than English what the kind of an error means comes before its message.
  const errorCard = (error) => {
    const told = known()[`kind_${error.kind}`];
    const lines = error.kind === "unauthorized" // of a page, whose visitor sends no headers
      ? [el("strong", {}, say("logged_out")), el("p", {}, el("button", { type: "button", class: "np-button", onclick: () => location.reload() }, say("log_in")))]
      : told
      ? [el("strong", {}, told), el("p", {}, say(`kind_hint_${error.kind}`)), el("p", { class: "np-original", lang: "en" }, [error.message, error.hint].filter(Boolean).join(" "))]
      : [el("strong", {}, error.message), error.hint ? el("p", {}, error.hint) : null];
    return el("div", { class: "np-card-message np-error", role: "alert" }, lines);
  };

  // A line that tells what happened, and a function that runs work and shows its failure there.
  const messages = () => {
    const line = el("div", { class: "np-w-message", "aria-live": "polite" });
    const tell = (...content) => line.replaceChildren(...content);
    const trying = (work) => async (...values) => {
      tell();
      try { return await work(...values); } catch (error) {
        if (error.name !== "AbortError") {
          tell(errorCard(error));
          line.scrollIntoView({ block: "nearest" }); // the button may be far below
        }
        return undefined;
      }
    };
    return { line, tell, trying };
  };

  // What is to know of an answer, in lines above or below it.
  const notices = (texts) => texts.map((text) => el("p", { class: "np-note np-notice", role: "status" }, text));

  const field = (key, input, info) => el("label", { class: "np-w-field" }, el("span", {}, say(key)), input, info ? el("small", {}, say(info)) : null);
  const input = (id, attributes = {}) => el("input", { id, class: "np-w-input", ...attributes });
  const select = (id, pairs, chosen, onchange) => el("select", { id, class: "np-w-input", onchange },
    pairs.map(([value, shown]) => el("option", { value, ".selected": value === chosen }, shown)));

  // Turns a button off for the time of some work. The focus, which an element that is off loses, returns.
  const busy = async (made, work) => {
    const focused = made === document.activeElement;
    made.disabled = true;
    try { return await work(); } finally {
      made.disabled = false;
      if (focused && document.activeElement === document.body) made.focus();
    }
  };

  // A button that deletes at the second click.
  const deleting = (question, work) => {
    let sure = false;
    const made = el("button", { type: "button", class: "np-button np-w-danger", onclick: () => {
      if (sure) { work(); return; }
      sure = true;
      made.textContent = say("really");
      made.title = question;
      setTimeout(() => { sure = false; made.textContent = say("delete"); }, 4000);
    } }, say("delete"));
    return made;
  };

  const local = (name, value) => {
    try {
      if (value !== undefined) localStorage.setItem(`nplug:${name}`, value);
      return localStorage.getItem(`nplug:${name}`);
    } catch (_) { return null; }
  };

  const title = (forms) => forms[dataset().language] ?? forms.en;
  // The title of a task; its name where its plugin is not installed.
  const taskTitle = (overview, name) => { const found = overview.tasks.find((one) => one.name === name); return found ? title(found.title) : name; };

  const bytes = (size) => (size < 1e6 ? `${Math.max(1, Math.round(size / 1000))} kB` : `${(size / 1e6).toFixed(1)} MB`);

  // The text of a name that the server gives, such as that of a metric; the name itself if there is none.
  const named = (kind, name) => { const key = `${kind}_${name.toLowerCase().replace(/[^a-z0-9]+/g, "_").replace(/^_|_$/g, "")}`; return known()[key] ?? name; };

  // On which rows a gate compared: "7 labelled rows of FILE".
  const rowsOf = (told) => {
    const found = /^([\d,]+) (labelled )?rows? of /.exec(told);
    return found ? say(found[2] ? "rows_labelled" : "rows_plain", { n: found[1] }) : told;
  };

  return { say, el, bytes, named, rowsOf, button, busy, decoded, path, get, post, upload, remove, failure, unreached, errorCard, messages, notices, field, input, select, deleting, local, title, taskTitle, dataset, command, copyButton, filled };
})();
