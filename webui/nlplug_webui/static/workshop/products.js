// The tools of a task's page: each is drawn once Gradio has drawn the page, and again after an answer.
window.npTools = (() => {
  const tools = [];
  let root = null;

  const draw = () => tools.forEach((tool) => tool(root));
  new MutationObserver(() => {
    const now = document.getElementById("np-products");
    if (!now || now === root || !window.nplug.form) return;
    root = now;
    draw();
  }).observe(document.body, { childList: true, subtree: true });
  document.addEventListener("nplug:answered", () => root && draw());

  // An element in the root or in another card, made at the first call and kept.
  const place = (id, make, card = null) => {
    const found = document.getElementById(id);
    if (found) return found;
    const made = make();
    made.id = id;
    ((card && document.getElementById(card)) || root).append(made);
    return made;
  };

  const save = (name, type, content) => {
    const link = npw.el("a", { download: name, href: URL.createObjectURL(new Blob([content], { type })) });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };

  // The values of a reply with one JSON value per line; an "error" among them is thrown.
  async function* lines(address, body, signal) {
    const unreached = (error) => { throw npw.unreached(error); };
    const reply = await fetch(address, { method: "POST", signal, body: JSON.stringify(body), headers: { "x-nlplug-page": "1", "content-type": "application/json" } }).catch(unreached);
    if (!reply.ok) throw npw.failure(await reply.json().catch(() => ({})), reply.statusText);
    const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read().catch(unreached);
      if (done) return;
      const parts = (rest + value).split("\n");
      rest = parts.pop();
      for (const part of parts.filter(Boolean)) {
        const values = JSON.parse(part);
        if (values.error) throw npw.failure(values);
        yield values;
      }
    }
  }

  return { lines, add: (tool) => tools.push(tool), place, save };
})();
