// Hides what the filters leave out; opens the scenario that the address names.
(() => {
  "use strict";
  const byId = (id) => document.getElementById(id);
  const articles = [...document.querySelectorAll("article")];
  const fields = ["trait", "domain", "split", "has", "text"].map(byId);
  const texts = new Map();
  const textOf = (article) => {
    if (!texts.has(article)) texts.set(article, article.textContent.toLowerCase());
    return texts.get(article);
  };
  const fits = (article, [trait, domain, split, has, words]) =>
    (!trait || article.dataset.trait === trait) && (!domain || article.dataset.domain === domain) &&
    (!split || article.dataset.split === split) && (!has || article.dataset.has.split(" ").includes(has)) &&
    words.every((word) => textOf(article).includes(word));
  const show = () => {
    const values = fields.map((field) => field.value);
    values[4] = values[4].toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const article of articles) {
      article.hidden = !fits(article, values);
      shown += !article.hidden;
    }
    byId("count").textContent = shown === articles.length ? `${shown} scenarios` : `${shown} of ${articles.length} scenarios`;
  };
  const open = () => {
    const article = byId(decodeURIComponent(location.hash.slice(1)));
    if (!articles.includes(article)) return;
    if (article.hidden) {
      fields.forEach((field) => { field.value = ""; });
      show();
    }
    article.querySelector("details").open = true;
    article.scrollIntoView();
  };
  let pause;
  byId("filters").addEventListener("input", (event) => {
    clearTimeout(pause);
    pause = setTimeout(show, event.target.id === "text" ? 250 : 0);
  });
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", open);
  show();
  open();
})();
