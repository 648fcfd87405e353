// A toggle that was moved and moved back was operated all the same: the form says so. Without this script the service
// can only see whether a toggle stands elsewhere than it was shown.
for (const toggle of document.querySelectorAll("input[data-touched]")) {
  toggle.addEventListener("change", () => {
    document.getElementById(toggle.dataset.touched).disabled = false;
  });
}
