// The list of keyboard shortcuts under "?", "/" for the first text field, and Ctrl + Enter for the button of a form.
(() => {
  const { el } = npw;
  const KEYS = [["?", "key_help"], ["/", "key_input"], ["Enter", "key_run"], ["Shift + Enter", "key_run_long"], ["Ctrl + Enter", "key_run_any"], ["1 – 9", "key_label"],
    ["Shift + ← →", "key_select"], ["Delete", "key_span"], ["↑ ↓", "key_alternatives"], ["Esc", "key_escape"]];
  const FIELDS = [".np-page textarea", ".np-page :is(input:not([type]), [type=text], [type=search])"]; // texts first
  let dialog = null;

  const show = () => {
    const texts = JSON.parse(document.querySelector("[data-shortcuts]")?.dataset.shortcuts ?? "{}");
    const say = (key) => texts[key] ?? key;
    dialog?.remove();
    dialog = el("dialog", { class: "np-keys", id: "np-keys", "aria-labelledby": "np-keys-title" }, el("h2", { id: "np-keys-title" }, say("shortcuts")),
      el("dl", {}, KEYS.map(([key, text]) => el("div", {}, el("dt", {}, el("kbd", {}, key)), el("dd", {}, say(text))))),
      el("button", { type: "button", class: "np-button", onclick: () => dialog.close() }, say("close")));
    (document.querySelector(".gradio-container") ?? document.body).append(dialog); // has the fonts and colours
    dialog.showModal();
  };

  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input:not([type=radio], [type=checkbox]), textarea, select, [contenteditable=true]");
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.defaultPrevented) {
      const button = event.target.form?.querySelector("[type=submit]") ?? (event.target.closest?.("#try-card, #options") && document.querySelector("#run"));
      if (typing && button) {
        event.preventDefault();
        button.click();
      }
      return;
    }
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "?") {
      event.preventDefault();
      show();
    } else if (event.key === "/") {
      const area = FIELDS.flatMap((one) => [...document.querySelectorAll(one)]).find((one) => !one.disabled && one.checkVisibility());
      if (!area) return;
      event.preventDefault();
      area.focus();
    }
  });
  document.addEventListener("click", (event) => event.target.closest?.(".np-keys-open") && show());
})();
