// Replaces each still picture by the same chart at the width of the screen, when it comes into view.
(() => {
  "use strict";
  document.getElementById("contents").open = matchMedia("(min-width: 1060px)").matches;
  const specs = JSON.parse(document.getElementById("charts").textContent);
  const options = { renderer: "svg", actions: false, ast: true, tooltip: { theme: "page" }, logLevel: 0 };
  const draw = (picture) => {
    const spec = specs[Number(picture.dataset.chart)];
    const live = picture.querySelector(".live");
    const narrow = picture.clientWidth < 520;
    const shown = narrow ? squeeze(structuredClone(spec), picture.clientWidth) : spec;
    return vegaEmbed(live, shown, options).then(() => picture.classList.add("drawn")).catch((error) => {
      live.replaceChildren();
      console.error(error);
    });
  };
  // On a phone the row labels get two fifths of the width.
  const squeeze = (spec, width) => {
    const limit = Math.min(150, Math.round(width * 0.4));
    for (const layer of spec.layer || []) {
      const axis = layer.encoding && layer.encoding.y && layer.encoding.y.axis;
      if (axis && axis.minExtent > limit) {
        axis.minExtent = axis.maxExtent = axis.labelLimit = limit;
      }
      const along = layer.encoding && layer.encoding.x && layer.encoding.x.axis;
      if (along && along.tickCount) along.tickCount = 3;
    }
    return spec;
  };
  const pictures = document.querySelectorAll(".picture[data-chart]");
  if (!("IntersectionObserver" in window)) {
    pictures.forEach(draw);
    return;
  }
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) {
        watch.unobserve(entry.target);
        draw(entry.target);
      }
    }
  }, { rootMargin: "800px 0px" });
  pictures.forEach((picture) => watch.observe(picture));
})();
