// What the tests want to know of a page that is open in a browser.
() => {
  const width = document.documentElement.clientWidth;
  const shown = (element) => element.checkVisibility({checkOpacity: true, checkVisibilityCSS: true});
  const named = (element) => `${element.tagName.toLowerCase()}.${element.className}: ${element.textContent.trim().slice(0, 40)}`;
  const all = (selector) => [...document.querySelectorAll(selector)];

  // A box that scrolls inside the page may hold what is wider than the page. What is for screen readers only takes no room.
  const inScrollingBox = (element) => {
    for (let box = element.parentElement; box && box !== document.body; box = box.parentElement) {
      if (["auto", "scroll"].includes(getComputedStyle(box).overflowX) && box.getBoundingClientRect().right <= width + 1) {
        return true;
      }
    }
    return false;
  };
  const overflowing = all(".bd-article *").filter((element) => {
    const place = element.getBoundingClientRect();
    return place.width > 1 && place.right > width + 1 && shown(element) && !inScrollingBox(element)
      && !element.closest("mjx-assistive-mml, .sr-only");
  });

  return {
    wide: document.documentElement.scrollWidth - width,
    overflowing: overflowing.slice(0, 5).map(named),
    headings: all("main h1, main h2, main h3, main h4, main h5, main h6").filter(shown)
      .map((heading) => [Number(heading.tagName[1]), heading.textContent.trim()]),
    ids: all("[id]").map((element) => element.id),
    links: all("a[href]").map((link) => link.href),
    images: all(".bd-article img").map((image) => image.src),
    // Images further down are loaded when they are scrolled to, so only those are known that have been decoded.
    broken: all("img").filter((image) => image.complete && !image.naturalWidth).map((image) => image.src),
  };
}
