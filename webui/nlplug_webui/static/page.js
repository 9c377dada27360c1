// The page of a task: answers while typing, marks outdated answers, announces and restores.
// Gradio calls the functions of `nplug` with the values of the form: model, precision, inputs, options.
window.nplug = (() => {
  const PAUSE = 300; // milliseconds without a change before the page asks by itself
  const FAST = 0.1; // seconds that a call may take to be made while typing
  const SHORT = 500; // characters up to which the length of a text does not matter
  const FIRST = 4; // place of the first field in the values of a call: token, model, precision, state
  const address = window.nplugAddress;

  let form = null;
  let fresh = false; // the address was opened or returned to
  let values = null;
  let current = null; // the values as text
  let token = 0;
  let waiting = null;
  let cleared = 0;
  let seen = "";
  let byItself = false;
  let wanted = null; // values that a script asks for: {changes, then}
  let resume = false; // the page is open, and its values are not back yet
  let restoring = false;
  let restored = null;
  let timer = null;
  let writing = null;
  let coding = null;
  let bar = null; // the tabs
  const calls = new Map();
  const costs = [];

  const find = (selector) => document.querySelector(selector);
  const press = (selector) => find(selector)?.click();
  const same = { __type__: "update" };

  const setting = (name, value) => {
    const key = `nplug:${name}:${form.task}`;
    try {
      if (value !== undefined) localStorage.setItem(key, value);
      return localStorage.getItem(key);
    } catch (_) { return null; }
  };
  const live = () => (setting("live") ?? String(form.live)) === "true";
  const texts = () => form.fields.flatMap((field, place) => (field.required ? [String(values[place] ?? "")] : []));
  const blank = () => texts().some((text) => !text.trim());
  const length = () => texts().join("").length;
  const fast = () => {
    if (setting("live") === "true" || !costs.length) return true;
    return Math.min(...costs) * Math.max(length(), SHORT) < FAST;
  };

  // A lasting live region: the card itself is replaced at each answer.
  const region = document.createElement("div");
  region.className = "np-unseen";
  region.id = "np-announced";
  region.setAttribute("role", "status");
  region.setAttribute("aria-live", "polite");

  // The answer, the growing text or the error; not the placeholder.
  const shown = () => find("#result .np-reply:has(.np-answer, .np-card-message, .np-growing)");

  const mark = () => {
    const card = find("#result");
    if (!card || !form) return;
    const reply = shown();
    const of = calls.get(reply?.dataset.asked);
    const state = waiting !== null ? "busy" : !reply ? "empty" : of === current ? "current" : "outdated";
    if (card.dataset.state !== state) card.dataset.state = state;
  };

  const schedule = () => {
    clearTimeout(timer);
    const absent = find("[data-absent]") && !seen; // typing does not download a model
    if (!live() || blank() || absent) return;
    timer = setTimeout(() => {
      if (!fast() || blank()) return;
      byItself = true;
      press("#np-ask");
    }, PAUSE);
  };

  // The form has the values that a script asked for.
  const filled = (asked) => {
    if (!wanted || wanted !== asked) return;
    wanted = null;
    asked.then?.();
  };

  const refreshCode = () => {
    clearTimeout(coding);
    if (form && find('[name="np-tab"][value="code"]')?.checked) coding = setTimeout(() => press("#np-write-code"), PAUSE);
  };

  const take = (now) => {
    const text = JSON.stringify(now);
    if (text === current) return false;
    values = now;
    current = text;
    clearTimeout(writing);
    writing = setTimeout(() => address.write(values), PAUSE);
    return true;
  };

  // What the form shows now is an entry of the browser's history; the next change begins another.
  const commit = () => {
    clearTimeout(writing);
    address.write(values);
    address.commit();
  };

  const answered = () => {
    const reply = shown();
    const done = reply && !reply.querySelector(".np-growing");
    if (done && reply.dataset.asked !== seen) {
      seen = reply.dataset.asked;
      if (waiting === seen) waiting = null;
      const seconds = Number(reply.querySelector("[data-seconds]")?.dataset.seconds ?? find("#result-tail [data-seconds]")?.dataset.seconds);
      if (seconds) costs.splice(0, costs.length, ...costs.slice(-2), seconds / Math.max(length(), SHORT));
      region.textContent = reply.innerText.slice(0, 300);
      document.dispatchEvent(new CustomEvent("nplug:answered"));
      if (Number(seen) <= cleared && blank()) press("#clear");
    }
    mark();
  };

  document.addEventListener("change", (event) => {
    if (event.target.closest?.("#np-live")) {
      setting("live", String(event.target.checked));
      schedule();
    } else if (event.target.name === "np-tab") {
      const tab = event.target.value; // is in the address, except for the first one
      history.replaceState(history.state, "", location.pathname + location.search + (tab === "try" ? "" : `#${tab}`));
      refreshCode();
    }
  });
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.("#clear")) return;
    clearTimeout(timer);
    cleared = token;
    waiting = null;
    if (values) commit();
  });
  // Why this answer? Switches the option on, and asks again once the form has it.
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.(".np-why-button");
    const option = button && document.getElementById(button.dataset.option)?.querySelector("input");
    if (!option) return;
    button.disabled = true;
    if (!option.checked) option.click();
    setTimeout(() => press("#run"), 100);
  });
  // A suggested model of a task without one of its own: with a text, it answers at once.
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-use-model]");
    if (!button || !form) return;
    button.disabled = true;
    window.nplug.set({ model: button.dataset.useModel }, () => {
      button.disabled = false;
      if (blank()) find("#try-card textarea")?.focus();
      else press("#run");
    });
  });
  // Who changes an option or the model afterwards wants no restored values any more.
  ["pointerdown", "keydown"].forEach((name) => document.addEventListener(name, (event) => {
    if (event.isTrusted && event.target.closest?.("#options, #model-card")) restored = null;
  }));
  // An address that names values stays in the browser's history when the visitor changes them.
  ["input", "click"].forEach((name) => document.addEventListener(name, (event) => {
    if (!fresh || !event.isTrusted || !event.target.closest?.("#try-card, #options, #model-card")) return;
    fresh = false;
    address.commit();
  }, true));
  window.addEventListener("popstate", () => {
    if (!form) return;
    fresh = true;
    press("#np-restore");
    bar = null;
    openTab();
  });
  window.addEventListener("pagehide", () => values && address.write(values));

  // The tab that the address names, once it is there.
  const openTab = () => {
    const now = find(".np-tabbar");
    if (!now || now === bar) return;
    bar = now;
    const wanted = bar.querySelector(`[value="${CSS.escape(location.hash.slice(1) || "try")}"]`);
    if (wanted && !wanted.checked) wanted.click();
  };

  const start = () => {
    document.body.append(region);
    new MutationObserver(() => {
      if (!form) return;
      openTab();
      const box = find("#np-live input");
      if (box && box.checked !== live()) box.checked = live();
      if (resume && !restoring && box && find("#try-card textarea")) {
        restoring = true;
        setTimeout(() => press("#np-restore"));
      }
      answered();
    }).observe(document.body, { childList: true, subtree: true });
  };
  if (document.body) start();
  else document.addEventListener("DOMContentLoaded", start);

  return {
    // The page is open. Its values come back from the address or the tab once its parts are there:
    // Gradio drops values for parts that are not.
    opened(opened) {
      form = opened;
      waiting = null; // whoever drew the page before does not answer any more
      address.open(opened);
      resume = true;
      fresh = Boolean(location.search);
      refreshCode(); // the tab may be open already
    },

    // The values of the address, after opening or when the browser went back or forward.
    returned() {
      if (wanted) {
        setTimeout(filled, 400, wanted); // where the form had these values before, nothing changes
        return form.fields.map((field) => (field.key in wanted.changes ? wanted.changes[field.key] : same));
      }
      const { values: found, keys } = address.read({ resume });
      restored = { values: found, keys };
      const open = resume && !keys.length;
      resume = false;
      return open ? found.map(() => same) : found;
    },

    // Sets fields of the form, by their names in the address; `then` runs afterwards.
    set(changes, then = null) {
      if ("model" in changes) restored = null;
      wanted = { changes, then };
      press("#np-restore");
    },

    // The value of a field by its name; undefined if there is none. Until something of the form has
    // changed, that is its first value.
    value(key) {
      const place = form ? form.fields.findIndex((field) => field.key === key) : -1;
      if (place < 0) return undefined;
      return values ? values[place] : address.initial(form.fields[place]);
    },
    has: (key) => Boolean(form?.fields.some((field) => field.key === key)),
    get form() { return form; },
    // The query of the address for the values of the form.
    link() {
      clearTimeout(writing);
      address.write(values);
      return location.search;
    },
    // The values of the address, which has changed.
    again: () => press("#np-restore"),
    // Whether the answer on the page is the one of the form.
    current: () => Boolean(form && shown()) && find("#result").dataset.state === "current",

    // The card of the model has set its defaults: precision and options of the address come back.
    reapplied() {
      const kept = form.fields.slice(1).map((field, place) => [field, place + 1]).filter(([field]) => !field.input);
      return kept.map(([field, place]) => (restored?.keys.includes(field.key) ? restored.values[place] : same));
    },

    changed(now) {
      if (wanted && form.fields.every((field, place) => !(field.key in wanted.changes) || now[place] === wanted.changes[field.key])) filled(wanted);
      if (!form || resume || !take(now.slice(0, form.fields.length))) return;
      find(".np-work")?.classList.toggle("np-has-model", Boolean(values[0]));
      mark();
      schedule();
      refreshCode();
      document.dispatchEvent(new CustomEvent("nplug:changed"));
    },

    // A call begins: gives it a token, which comes back with its answer.
    asked(call) {
      const count = form.fields.length - 2;
      take([call[1], call[2], ...call.slice(FIRST, FIRST + count)]);
      clearTimeout(timer);
      token += 1;
      waiting = String(token);
      calls.set(waiting, current);
      calls.delete(String(token - 20));
      if (!byItself) {
        commit();
        if (window.innerWidth < 860) find("#result")?.scrollIntoView({ block: "start" });
      }
      byItself = false;
      mark();
      return [waiting, ...call.slice(1, FIRST + count)];
    },

    run: () => setTimeout(() => press("#run")),

    // A call has failed; the answer before it stays, as an outdated one.
    failed() {
      waiting = null;
      mark();
    },

    // The code examples name the server by the address of the page.
    coded: (call) => [new URL(".", location.href).href.replace(/\/$/, ""), ...call.slice(1, FIRST + form.fields.length - 2)],
  };
})();
