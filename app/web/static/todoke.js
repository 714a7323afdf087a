// Small helps that every page also works without.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  // A refused form: bring people to what went wrong.
  document.querySelector("[data-focus]")?.focus();

  // A second press of a button sends nothing twice.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    form.setAttribute("aria-busy", "true");
    setTimeout(() => delete form.dataset.sent, 4000);
  });

  // Printing.
  document.querySelectorAll("[data-print]").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", () => window.print());
  });
});

// Coming back with the browser's "back": forms can be sent again.
window.addEventListener("pageshow", () => {
  document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent);
});
