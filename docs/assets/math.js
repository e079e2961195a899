// Typesets what pymdownx.arithmatex marks as \(inline\) or \[displayed\] mathematics, with the KaTeX beside this file.
document.addEventListener("DOMContentLoaded", () => {
  for (const node of document.querySelectorAll(".arithmatex")) {
    const source = node.textContent.trim();
    katex.render(source.slice(2, -2), node, {displayMode: source.startsWith("\\["), throwOnError: true});
  }
});
