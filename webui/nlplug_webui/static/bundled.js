// Gives Gradio's modules to the browser, in the place of a request for each; see bundled.py.
(() => {
  const { modules, styles } = NAMES;
  const base = new URL("./assets/", location.href).href;
  const imports = {};
  // A link with the address of a file keeps Gradio's loader from requesting it: these load nothing.
  const inert = (name, attributes) => {
    const link = document.createElement("link");
    Object.entries(attributes).forEach(([key, value]) => link.setAttribute(key, value));
    link.setAttribute("href", base + name);
    document.head.append(link);
  };
  for (const [name, source] of Object.entries(modules)) {
    const text = source.replaceAll("np-assets:", base);
    imports[base + name] = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    inert(name, { rel: "np-bundled" });
  }
  styles.forEach((name) => inert(name, { rel: "stylesheet", disabled: "" }));
  const map = document.createElement("script");
  map.type = "importmap";
  map.textContent = JSON.stringify({ imports });
  document.head.append(map);
})();
