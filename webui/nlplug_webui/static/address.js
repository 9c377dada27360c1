// The form of a task's page in the address, so that links, Back and reload restore it.
// A text that is too long for an address is kept in the storage of the tab (sessionStorage).
window.nplugAddress = (() => {
  const LIMIT = 2000; // characters of the query
  const LONG = "long";
  let form = null;
  let committed = false;
  let longKey = null;

  const store = {
    get: (key) => { try { return sessionStorage.getItem(key); } catch (_) { return null; } },
    set: (key, value) => { try { sessionStorage.setItem(key, value); } catch (_) { /* full or off */ } },
    drop: (key) => { try { sessionStorage.removeItem(key); } catch (_) { /* off */ } },
  };
  const last = () => `nplug:last:${location.pathname}`;
  const longOf = (search) => `nplug:long:${location.pathname}${search}`;

  // The options that the model sets; the server writes them into the card of the model. Before the
  // card is there, those of the model that the page shows first.
  const initial = (field) => {
    const node = document.querySelector("[data-defaults]");
    if (!node) return "first" in field ? field.first : field.initial;
    const ofModel = JSON.parse(node.dataset.defaults);
    return field.key in ofModel ? ofModel[field.key] : field.initial;
  };
  const encode = (value) => (value === null || value === undefined ? "" : String(value));
  const decode = (field, text) => {
    if (field.kind === "switch") return text === "true";
    if (field.kind === "number") return text === "" || Number.isNaN(Number(text)) ? null : Number(text);
    return text;
  };
  const hash = (text) => {
    let sum = 5381;
    for (let at = 0; at < text.length; at += 1) sum = ((sum * 33) ^ text.charCodeAt(at)) >>> 0;
    return sum.toString(36);
  };

  const query = (values) => {
    const params = new URLSearchParams(location.search);
    [...form.fields.map((field) => field.key), LONG].forEach((key) => params.delete(key));
    const own = form.fields
      .map((field, place) => [field, encode(values[place])])
      .filter(([field, text]) => text !== encode(initial(field)));
    const long = {};
    own.sort((a, b) => a[1].length - b[1].length).forEach(([field, text]) => {
      const with_ = new URLSearchParams(params);
      with_.set(field.key, text);
      if (with_.toString().length > LIMIT) long[field.key] = text;
      else params.set(field.key, text);
    });
    const texts = JSON.stringify(long);
    if (texts !== "{}") params.set(LONG, hash(texts));
    const search = params.toString();
    return { search: search && `?${search}`, long: texts === "{}" ? null : texts };
  };

  return {
    open(opened) { form = opened; },
    initial,

    // Values by the address: {values, keys}, or null if it names no field.
    read({ resume }) {
      let search = location.search;
      const names = (text) => {
        const params = new URLSearchParams(text);
        return [...form.fields.map((field) => field.key), LONG].some((key) => params.has(key));
      };
      if (!names(search) && resume) search = store.get(last()) ?? "";
      const params = new URLSearchParams(search);
      const long = JSON.parse(store.get(longOf(search)) ?? "{}");
      const keys = form.fields.map((field) => field.key).filter((key) => params.has(key) || key in long);
      const values = form.fields.map((field) =>
        keys.includes(field.key) ? decode(field, long[field.key] ?? params.get(field.key)) : initial(field));
      return { values, keys };
    },

    write(values) {
      const { search, long } = query(values);
      const address = location.pathname + search + location.hash;
      if (search !== location.search) {
        if (committed) history.pushState(history.state, "", address);
        else history.replaceState(history.state, "", address);
        if (longKey && !committed) store.drop(longKey);
        committed = false;
      }
      longKey = long ? longOf(search) : null;
      if (longKey) store.set(longKey, long);
      if (search) store.set(last(), search);
      else store.drop(last());
    },

    // The next change is a new entry in the browser's history.
    commit() { committed = true; },
  };
})();
