// Texts of a page whose contrast with their ground is below level AA of WCAG 2 (4.5, or 3 where they are large).
() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const known = new Map();
  // A canvas reads every notation of CSS.
  const rgba = (colour) => {
    if (!known.has(colour)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
      known.set(colour, [r, g, b, a / 255]);
    }
    return known.get(colour);
  };
  const over = (top, ground) => [0, 1, 2].map((i) => top[i] * top[3] + ground[i] * (1 - top[3]));
  const luminance = (colour) => {
    const [r, g, b] = colour.map((part) => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const grounds = new Map([[null, [255, 255, 255]]]);
  const ground = (element) => {
    if (!grounds.has(element)) {
      grounds.set(element, over(rgba(getComputedStyle(element).backgroundColor), ground(element.parentElement)));
    }
    return grounds.get(element);
  };
  const found = new Map();
  for (const element of document.querySelectorAll(".bd-main *, .bd-sidebar *")) {
    if (![...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim())) continue;
    if (element.closest("mjx-container, svg, script, style") || !element.checkVisibility({checkOpacity: true, checkVisibilityCSS: true})) continue;
    const {color, fontSize, fontWeight} = getComputedStyle(element), size = parseFloat(fontSize);
    const [dark, light] = [luminance(over(rgba(color), ground(element))), luminance(ground(element))].sort((a, b) => a - b);
    const ratio = (light + 0.05) / (dark + 0.05), large = size >= 24 || size >= 18.66 && Number(fontWeight) >= 700;
    if (ratio < (large ? 3 : 4.5)) found.set(`${element.tagName.toLowerCase()}.${element.className} ${color} ${ratio.toFixed(2)}`, element.textContent.trim().slice(0, 40));
  }
  return [...found].map(([what, text]) => `${what}: ${text}`);
}
