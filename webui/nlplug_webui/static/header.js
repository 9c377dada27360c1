// The header is one line: links that do not fit are hidden, and the menu has all of them.
(() => {
  // The links wrap; of those, only the first line is visible. The link of the open page is there always.
  const fit = (nav) => {
    const links = [...nav.children];
    const current = nav.querySelector("[aria-current]");
    links.forEach((link) => { link.style.order = ""; });
    const hidden = (link) => link.offsetTop > nav.offsetTop + nav.clientHeight / 2;
    if (current && hidden(current)) current.style.order = "-1";
    links.forEach((link) => { link.inert = hidden(link); });
  };

  let seen = null;
  const look = () => {
    const nav = document.querySelector(".np-nav-tasks");
    if (!nav || nav === seen) return;
    seen = nav;
    const sizes = new ResizeObserver(() => fit(nav)); // also of the links: the style sheet may come later
    [nav, ...nav.children].forEach((node) => sizes.observe(node));
    fit(nav);
  };
  const close = (menu) => { menu.open = false; };
  document.addEventListener("click", (event) => {
    document.querySelectorAll(".np-menu[open]").forEach((menu) => { if (!menu.contains(event.target)) close(menu); });
  });
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && document.querySelector(".np-menu[open]");
    if (!menu) return;
    close(menu);
    menu.querySelector("summary").focus();
  });
  document.addEventListener("focusout", (event) => {
    const menu = event.target.closest?.(".np-menu[open]");
    if (menu && event.relatedTarget && !menu.contains(event.relatedTarget)) close(menu);
  });
  // Not by the address: its fragment says what some of the pages show.
  document.addEventListener("click", (event) => {
    const skip = event.target.closest?.(".np-skip");
    if (!skip) return;
    event.preventDefault();
    const content = document.getElementById(skip.hash.slice(1));
    content.tabIndex = -1;
    content.focus();
  });
  const start = () => {
    new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
    look();
  };
  if (document.body) start();
  else document.addEventListener("DOMContentLoaded", start);
})();
