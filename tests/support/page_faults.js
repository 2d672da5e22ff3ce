// What is wrong with how a page looks: `faults(wants)`, a list of sentences. It walks through open shadow roots.
// wants: {target: least size of what is pressed, in px, or 0; contrast: whether it is counted}
(wants) => {
  const faults = [];

  // Walking: elements as they are composed, slots filled.
  const childrenOf = (node) => {
    if (node.shadowRoot) return [...node.shadowRoot.childNodes];
    if (node.localName === 'slot' && node.assignedNodes().length) return node.assignedNodes();
    return [...node.childNodes];
  };
  const parentOf = (node) => node.assignedSlot ?? node.parentElement ?? (node.parentNode instanceof ShadowRoot ? node.parentNode.host : null);
  const ancestorsOf = (node) => { const all = []; for (let one = parentOf(node); one; one = parentOf(one)) all.push(one); return all; };
  const modal = [...document.querySelectorAll('dialog[open]')].at(-1);
  const nodes = [];
  const walk = (node) => {
    if (node.nodeType === Node.ELEMENT_NODE) {
      const style = getComputedStyle(node);
      if (style.display === 'none' || ['script', 'style', 'noscript', 'template', 'option', 'datalist'].includes(node.localName)) return;
      if (!node.checkVisibility({ contentVisibilityAuto: true, visibilityProperty: false, opacityProperty: true })) return;
    }
    nodes.push(node);
    childrenOf(node).forEach(walk);
  };
  walk(modal ?? document.body);

  const nameOf = (element) => {
    const classes = typeof element.className === 'string' && element.className ? `.${element.className.trim().replace(/\s+/g, '.')}` : '';
    const text = element.textContent.trim().replace(/\s+/g, ' ').slice(0, 30);
    return `${element.localName}${element.id && `#${element.id}`}${classes}${text && ` “${text}”`}`;
  };
  const isShown = (element) => getComputedStyle(element).visibility === 'visible';
  const isUnseen = (element) => [element, ...ancestorsOf(element)].some((one) => getComputedStyle(one).clipPath === 'inset(50%)');

  // Overflow.
  const wide = document.documentElement.scrollWidth - innerWidth;
  const isOut = (node) => node.nodeType === Node.ELEMENT_NODE && node.getBoundingClientRect().right > innerWidth + 1;
  const outermost = nodes.find((node) => isOut(node) && node !== document.body);
  if (wide > 0) faults.push(`the page is ${wide} px too wide, by ${outermost ? nameOf(outermost) : 'what has no box'}`);

  // Text that is cut off, and nothing tells the rest of it.
  const texts = nodes.filter((node) => node.nodeType === Node.TEXT_NODE && node.data.trim()).map((node) => [node, parentOf(node)]);
  for (const [node, element] of texts) {
    if (!isShown(element) || isUnseen(element)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = range.getBoundingClientRect();
    if (!box.width) continue;
    const above = [element, ...ancestorsOf(element)];
    if (above.some((one) => one.title)) continue;
    for (const one of above) {
      const style = getComputedStyle(one);
      if (style.position === 'fixed') break;
      const outer = one.getBoundingClientRect();
      const isScrolled = (overflow) => ['auto', 'scroll'].includes(overflow);
      if (isScrolled(style.overflowX) || isScrolled(style.overflowY)) break;
      const isCut = (overflow, beyond) => ['hidden', 'clip'].includes(overflow) && beyond > 1.5;
      const across = Math.max(outer.left - box.left, box.right - outer.right);
      const down = Math.max(outer.top - box.top, box.bottom - outer.bottom) - 4; // A line is higher than its letters.
      if ((isCut(style.overflowX, across) || isCut(style.overflowY, down))) {
        faults.push(`cut off without a title: ${nameOf(element)}`);
        break;
      }
    }
  }

  // What is pressed is large enough.
  const ACTS = 'a[href], button, input, select, textarea, summary, [role=button], [role=slider], [role=option], [role=tab]';
  const acts = nodes.filter((node) => node.nodeType === Node.ELEMENT_NODE && node.matches(ACTS) && !node.disabled && isShown(node));
  const areaOf = (act) => {
    const after = getComputedStyle(act, '::after');
    if (after.content !== 'none' && after.position === 'absolute' && after.inset === '0px') return act.closest('tr') ?? act.parentElement;
    if (act.matches('[type=radio], [type=checkbox]')) return act.closest('label') ?? act.labels[0] ?? act;
    return act;
  };
  if (wants.target) {
    for (const act of acts) {
      if (act.localName === 'a' && getComputedStyle(act).display === 'inline') continue; // A link in a sentence.
      if (isUnseen(act)) continue;
      const { width, height } = areaOf(act).getBoundingClientRect();
      if (Math.min(width, height) < wants.target - .1) faults.push(`a target of ${width.toFixed(0)} × ${height.toFixed(0)} px: ${nameOf(act)}`);
    }
  }
  if (!wants.contrast) return [...new Set(faults)];

  // Contrast, also on gradients, of pseudo-elements and of edges, by computed styles.
  const pen = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d', { willReadFrequently: true });
  const colours = new Map();
  const rgba = (text) => {
    if (!colours.has(text)) {
      pen.clearRect(0, 0, 1, 1);
      pen.fillStyle = '#000';
      pen.fillStyle = text;
      pen.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
      colours.set(text, [r, g, b, a / 255]);
    }
    return colours.get(text);
  };
  const over = ([r, g, b, a], under) => [r, g, b].map((value, i) => value * a + under[i] * (1 - a));
  const light = (colour) => {
    const [r, g, b] = colour.map((value) => { const part = value / 255; return part <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4; });
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const contrast = (one, other) => { const [a, b] = [light(one), light(other)].sort((x, y) => y - x); return (a + .05) / (b + .05); };
  const COLOUR = /#[0-9a-f]{3,8}\b|\b(?:rgba?|hsla?|oklch|oklab|lab|lch|hwb|color)\((?:[^()]|\([^()]*\))*\)|\btransparent\b/gi;
  const ways = new Map();
  /** Every colour that may lie behind an element: a gradient has several. */
  const groundsOf = (element) => {
    if (!element) { // The browser's own ground.
      const scheme = getComputedStyle(document.documentElement).colorScheme;
      const isDark = scheme.includes('dark') && (!scheme.includes('light') || matchMedia('(prefers-color-scheme: dark)').matches);
      return [rgba(isDark ? '#121212' : '#fff')];
    }
    if (ways.has(element)) return ways.get(element);
    const style = getComputedStyle(element);
    const layers = (css) => {
      const stops = css.backgroundImage.startsWith('url') ? [] : (css.backgroundImage.match(COLOUR) ?? []).map(rgba);
      // A layer that covers a small part of the element is a mark, not its ground.
      const isPart = css.backgroundRepeat.includes('no-repeat') && /px/.test(css.backgroundSize);
      return [rgba(css.backgroundColor), ...(isPart ? [] : stops)];
    };
    const below = element.matches(':modal') ? [rgba('#fff'), rgba('#000')] : groundsOf(parentOf(element));
    const [fill, ...stops] = layers(style);
    const filled = below.map((ground) => over(fill, ground));
    const all = [...filled, ...stops.flatMap((stop) => filled.map((ground) => over(stop, ground)))];
    const different = [...new Map(all.map((colour) => [colour.map(Math.round).join(), colour])).values()].slice(0, 64);
    ways.set(element, different);
    return different;
  };
  const least = (colour, element) => Math.min(...groundsOf(element).map((ground) => contrast(over(colour, ground), ground)));
  const tell = (what, found, wanted, element) => found < wanted - .005 && faults.push(`${what} has a contrast of ${found.toFixed(2)}, not ${wanted}: ${nameOf(element)}`);
  const isLarge = (style) => parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 700);
  const isDisabled = (element) => [element, ...ancestorsOf(element)].some((one) => one.disabled || one.ariaDisabled === 'true');
  for (const [, element] of texts) {
    if (!isShown(element) || isUnseen(element) || isDisabled(element) || element.closest('svg')) continue;
    const style = getComputedStyle(element);
    tell('text', least(rgba(style.color), element), isLarge(style) ? 3 : 4.5, element);
  }
  for (const element of nodes.filter((node) => node.nodeType === Node.ELEMENT_NODE && isShown(node) && !isUnseen(node) && !isDisabled(node))) {
    if (element.matches('input[placeholder], textarea[placeholder]') && !element.value) {
      tell('a placeholder', least(rgba(getComputedStyle(element, '::placeholder').color), element), 4.5, element);
    }
    for (const pseudo of ['::before', '::after']) {
      const style = getComputedStyle(element, pseudo);
      if (style.content === 'none' || style.content === 'normal') continue;
      if (/^"\S/.test(style.content)) tell(`the text of ${pseudo}`, least(rgba(style.color), element), 4.5, element);
      const fill = rgba(style.backgroundColor);
      const size = Math.max(parseFloat(style.width) || 0, parseFloat(style.height) || 0);
      if (fill[3] > .5 && size > 4 && size < 40) tell(`the mark ${pseudo}`, least(fill, element), 3, element);
    }
  }
  // An act that has a shape of its own is told from what is around it by its edge or by its ground.
  for (const act of acts) {
    if (isUnseen(act) || act.matches('[type=radio], [type=checkbox], [type=range], [type=file]')) continue;
    const style = getComputedStyle(act);
    const edge = rgba(style.borderTopColor);
    const hasEdge = parseFloat(style.borderTopWidth) >= 1 && edge[3] > 0;
    const hasFill = rgba(style.backgroundColor)[3] > 0 && act.matches('button');
    if (!act.matches('input, select, textarea') && !hasEdge && !hasFill) continue; // Text alone: its contrast counts.
    const around = groundsOf(parentOf(act));
    const byEdge = hasEdge ? Math.min(...around.map((ground) => contrast(over(edge, ground), ground))) : 1;
    const byFill = Math.min(...groundsOf(act).map((ground) => Math.min(...around.map((one) => contrast(ground, one)))));
    tell('an edge', Math.max(byEdge, byFill), act.matches('input, select, textarea') ? 3 : 1, act);
  }
  // A picture that tells something: its strongest ink.
  for (const svg of nodes.filter((node) => node.localName === 'svg' && node.getAttribute('aria-hidden') !== 'true')) {
    const inks = [...svg.querySelectorAll('rect, path, polyline, line, circle')].flatMap((shape) => {
      const { fill, stroke, opacity, fillOpacity } = getComputedStyle(shape);
      const parts = [fill, stroke].filter((ink) => ink !== 'none').map(rgba);
      return parts.map(([r, g, b, a]) => [r, g, b, a * Number(opacity) * Number(fillOpacity)]);
    });
    if (inks.length) tell('a picture', Math.max(...inks.map((ink) => least(ink, parentOf(svg)))), 3, svg);
  }
  return [...new Set(faults)];
}
